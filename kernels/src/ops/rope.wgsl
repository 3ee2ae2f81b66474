// (x[j], x[j + d/2]) ← (x[j]·c − x[j + d/2]·s, x[j + d/2]·c + x[j]·s) in the first d values of every
// head; one thread a pair.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    // Pairs.
    len: u32,
    // Heads a row, and values a head.
    heads: u32,
    head_dim: u32,
    // Pairs a head.
    half: u32,
    // 1, or −1 to rotate back.
    sign: f32,
}

// [positions, half]: cosine, sine.
@group(0) @binding(0) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> positions: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y + params.first_y) * 64u + lane;
    if i < params.len {
        let head = i / params.half;
        let j = i % params.half;
        let row = head / params.heads;
        let angle = table[positions[row] * params.half + j];
        let cosine = angle.x;
        let sine = params.sign * angle.y;
        let first = head * params.head_dim + j;
        let second = first + params.half;
        let a = x[first];
        let b = x[second];
        x[first] = a * cosine - b * sine;
        x[second] = b * cosine + a * sine;
    }
}
