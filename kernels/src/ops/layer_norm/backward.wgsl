// With d = g∘dy and x̂ = (x − μ)·r: dx = r · (d − mean(d) − x̂ · mean(d∘x̂)), or dx += …, row by row.

override ADD: u32;

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    width: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<storage, read> gain: array<f32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 128u;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let start = (group.y + params.first_y) * params.width;
    let n = f32(params.width);
    var sum = 0.0;
    var d_sum = 0.0;
    for (var i = lane; i < params.width; i += LANES) {
        sum += x[start + i];
        d_sum += gain[i] * dy[start + i];
    }
    let mean = workgroup_sum(sum, lane) / n;
    let d_mean = workgroup_sum(d_sum, lane) / n;
    var squares = 0.0;
    var products = 0.0;
    for (var i = lane; i < params.width; i += LANES) {
        let centred = x[start + i] - mean;
        squares += centred * centred;
        products += gain[i] * dy[start + i] * centred;
    }
    let r = 1.0 / sqrt(workgroup_sum(squares, lane) / n + params.epsilon);
    // mean(d∘x̂)·r
    let along = workgroup_sum(products, lane) / n * r * r;
    for (var i = lane; i < params.width; i += LANES) {
        var value = r * (gain[i] * dy[start + i] - d_mean - (x[start + i] - mean) * along);
        if ADD == 1u {
            value += dx[start + i];
        }
        dx[start + i] = value;
    }
}
