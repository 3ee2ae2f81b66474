// dx = r·g∘dy − x · r³/n · Σ(g∘dy∘x), or dx += …; r = 1 / √(mean(x²) + ε), row by row.

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
    var squares = 0.0;
    var products = 0.0;
    for (var i = lane; i < params.width; i += LANES) {
        let value = x[start + i];
        squares += value * value;
        products += gain[i] * dy[start + i] * value;
    }
    let n = f32(params.width);
    let r = 1.0 / sqrt(workgroup_sum(squares, lane) / n + params.epsilon);
    let along = workgroup_sum(products, lane) * r * r * r / n;
    for (var i = lane; i < params.width; i += LANES) {
        var value = r * gain[i] * dy[start + i] - x[start + i] * along;
        if ADD == 1u {
            value += dx[start + i];
        }
        dx[start + i] = value;
    }
}
