// out[t, c] = Σ_j dlow[t, j] · A[j, c]; one thread a value.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    len: u32,
    width: u32,
    rank: u32,
    // Where A starts in `factors`.
    offset: u32,
}

@group(0) @binding(0) var<storage, read_write> dlow: array<f32>;
@group(0) @binding(1) var<storage, read_write> factors: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y + params.first_y) * 64u + lane;
    if i < params.len {
        let row = i / params.width;
        let column = i % params.width;
        var sum = 0.0;
        for (var j = 0u; j < params.rank; j++) {
            sum += dlow[row * params.rank + j] * factors[params.offset + j * params.width + column];
        }
        out[i] = sum;
    }
}
