// Rows by an index. Gather: out[i] = src[index[i]]; scatter: out[index[i]] = src[i]. One thread a value.

override SCATTER: u32;

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    len: u32,
    width: u32,
}

@group(0) @binding(0) var<storage, read_write> src: array<f32>;
@group(0) @binding(1) var<storage, read_write> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y + params.first_y) * 64u + lane;
    if i < params.len {
        let row = i / params.width;
        let other = index[row] * params.width + i % params.width;
        if SCATTER == 1u {
            out[other] = src[i];
        } else {
            out[i] = src[other];
        }
    }
}
