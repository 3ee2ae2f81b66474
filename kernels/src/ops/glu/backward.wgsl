// dgate = dout · up · σ·(1 + gate·s'(gate)·(1 − σ)), dup = dout · φ(gate), σ = σ(s(gate)); s: inner.wgsl. Without up,
// that is 1.

override GATED: u32;

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    len: u32,
}

@group(0) @binding(0) var<storage, read_write> gate: array<f32>;
@group(0) @binding(1) var<storage, read_write> dout: array<f32>;
@group(0) @binding(2) var<storage, read_write> dgate: array<f32>;
@group(0) @binding(3) var<storage, read_write> up: array<f32>;
@group(0) @binding(4) var<storage, read_write> dup: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y + params.first_y) * 64u + lane;
    if i < params.len {
        let z = gate[i];
        let sigmoid = 1.0 / (1.0 + exact_exp(-inner(z)));
        let slope = sigmoid * (1.0 + z * inner_slope(z) * (1.0 - sigmoid));
        if GATED == 1u {
            dgate[i] = dout[i] * up[i] * slope;
            dup[i] = dout[i] * z * sigmoid;
        } else {
            dgate[i] = dout[i] * slope;
        }
    }
}
