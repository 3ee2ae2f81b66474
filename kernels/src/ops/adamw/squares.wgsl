// squares[b] = Σ g² over block b of 4,096 gradients; a workgroup a block.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    // Gradients bound, and the number of the first block among all.
    len: u32,
    first_block: u32,
}

@group(0) @binding(0) var<storage, read_write> grads: array<f32>;
@group(0) @binding(1) var<storage, read_write> squares: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 256u;
const BLOCK = 4096u;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let block = group.y + params.first_y;
    var sum = 0.0;
    for (var i = block * BLOCK + lane; i < min((block + 1u) * BLOCK, params.len); i += LANES) {
        sum += grads[i] * grads[i];
    }
    sum = workgroup_sum(sum, lane);
    if lane == 0u {
        squares[params.first_block + block] = sum;
    }
}
