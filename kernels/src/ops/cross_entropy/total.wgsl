// total += weight · Σ losses, by one workgroup.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    len: u32,
    weight: f32,
}

@group(0) @binding(0) var<storage, read_write> losses: array<f32>;
@group(0) @binding(1) var<storage, read_write> total: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 256u;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < params.len; i += LANES) {
        sum += losses[i];
    }
    sum = workgroup_sum(sum, lane);
    if lane == 0u {
        total[0] += params.weight * sum;
    }
}
