// out[row·step + column] = log Σ_v exp(z[row, v]), −∞ of nothing but −∞; a workgroup a row.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    width: u32,
    step: u32,
    column: u32,
}

@group(0) @binding(0) var<storage, read_write> z: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 256u;
const LOWEST = -3.4e38;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y + params.first_y;
    let start = row * params.width;
    var most = LOWEST;
    for (var i = lane; i < params.width; i += LANES) {
        most = max(most, z[start + i]);
    }
    most = workgroup_max(most, lane);
    var sum = 0.0;
    for (var i = lane; i < params.width; i += LANES) {
        sum += exact_exp(z[start + i] - most);
    }
    sum = workgroup_sum(sum, lane);
    if lane == 0u {
        out[row * params.step + params.column] = log(sum) + most;
    }
}
