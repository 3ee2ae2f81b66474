// out = x∘mask/(1 − p) or out += …; mask[i] = hash(seed, module, i) ≥ p·2³². The hash is the CPU's, bit for bit: the
// finalizer of MurmurHash3 over seed and module, and again over that and the index.

override ADD: u32;

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    len: u32,
    seed: u32,
    module_factor: u32,
    threshold: u32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

fn mix_bits(value: u32) -> u32 {
    var h = value;
    h = (h ^ (h >> 16u)) * 0x85ebca6bu;
    h = (h ^ (h >> 13u)) * 0xc2b2ae35u;
    return h ^ (h >> 16u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y + params.first_y) * 64u + lane;
    if i < params.len {
        let draw = mix_bits(mix_bits(params.seed ^ params.module_factor) ^ i);
        let value = select(0.0, x[i] * params.scale, draw >= params.threshold);
        if ADD == 1u {
            out[i] += value;
        } else {
            out[i] = value;
        }
    }
}
