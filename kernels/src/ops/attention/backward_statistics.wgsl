// δ[i, h] = Σ_d out[i, h, d] · dout[i, h, d], and one table of what the two halves of attention's gradient ask of every
// query row: log-sum-exp and δ of each head, then the first and last key that it sees, then its reach as a key. One
// thread a row and head.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    // Rows times heads.
    len: u32,
    heads: u32,
    dim: u32,
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var<storage, read_write> dout: array<f32>;
@group(0) @binding(2) var<storage, read_write> lse: array<f32>;
@group(0) @binding(3) var<storage, read_write> spans: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> reach: array<u32>;
@group(0) @binding(5) var<storage, read_write> delta: array<f32>;
// u32 [rows, 2·heads + 3]; floats by their bits.
@group(0) @binding(6) var<storage, read_write> statistics: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y + params.first_y) * 64u + lane;
    if i >= params.len {
        return;
    }
    var sum = 0.0;
    for (var d = i * params.dim; d < (i + 1u) * params.dim; d++) {
        sum += out[d] * dout[d];
    }
    delta[i] = sum;
    let row = i / params.heads;
    let head = i % params.heads;
    let at = row * (2u * params.heads + 3u);
    statistics[at + 2u * head] = bitcast<u32>(lse[i]);
    statistics[at + 2u * head + 1u] = bitcast<u32>(sum);
    if head == 0u {
        statistics[at + 2u * params.heads] = spans[row].x;
        statistics[at + 2u * params.heads + 1u] = spans[row].y;
        statistics[at + 2u * params.heads + 2u] = reach[row];
    }
}
