// out = x · r · gain + residual, r = 1 / √(mean(x²) + ε), row by row.

override RESIDUAL: u32;

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    width: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read> gain: array<f32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> residual: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 128u;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let start = (group.y + params.first_y) * params.width;
    var squares = 0.0;
    for (var i = lane; i < params.width; i += LANES) {
        squares += x[start + i] * x[start + i];
    }
    let mean = workgroup_sum(squares, lane) / f32(params.width);
    let r = 1.0 / sqrt(mean + params.epsilon);
    for (var i = lane; i < params.width; i += LANES) {
        var value = x[start + i] * r * gain[i];
        if RESIDUAL == 1u {
            value += residual[start + i];
        }
        out[start + i] = value;
    }
}
