// grads(c, j) += scale · Σ_t a[t, c] · b[t, j]: dB from dy and low, dA from x and dlow.
//
// A thread makes one c and eight j, and sums over t in order.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    // Rows of a and b.
    rows: u32,
    // Values a row of a.
    width: u32,
    rank: u32,
    // grads(c, j) lies at offset + c · step_c + j · step_j.
    offset: u32,
    step_c: u32,
    step_j: u32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> grads: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let c = (group.x + params.first_x) * 64u + lane;
    let j = (group.y + params.first_y) * 8u;
    if c >= params.width {
        return;
    }
    var sum_low = vec4(0.0);
    var sum_high = vec4(0.0);
    for (var t = 0u; t < params.rows; t++) {
        let value = a[t * params.width + c];
        let at = t * params.rank + j;
        sum_low += value * vec4(b[at], b[at + 1u], b[at + 2u], b[at + 3u]);
        sum_high += value * vec4(b[at + 4u], b[at + 5u], b[at + 6u], b[at + 7u]);
    }
    let at = params.offset + c * params.step_c + j * params.step_j;
    for (var i = 0u; i < min(4u, params.rank - j); i++) {
        grads[at + i * params.step_j] += params.scale * sum_low[i];
    }
    for (var i = 4u; i < min(8u, params.rank - j); i++) {
        grads[at + i * params.step_j] += params.scale * sum_high[i - 4u];
    }
}
