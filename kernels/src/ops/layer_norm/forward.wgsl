// out = (x − μ) · r · gain + bias, μ = mean(x), r = 1 / √(mean((x − μ)²) + ε), row by row.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    width: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read> gain: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 128u;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let start = (group.y + params.first_y) * params.width;
    let n = f32(params.width);
    var sum = 0.0;
    for (var i = lane; i < params.width; i += LANES) {
        sum += x[start + i];
    }
    let mean = workgroup_sum(sum, lane) / n;
    var squares = 0.0;
    for (var i = lane; i < params.width; i += LANES) {
        let centred = x[start + i] - mean;
        squares += centred * centred;
    }
    let r = 1.0 / sqrt(workgroup_sum(squares, lane) / n + params.epsilon);
    for (var i = lane; i < params.width; i += LANES) {
        out[start + i] = (x[start + i] - mean) * r * gain[i] + bias[i];
    }
}
