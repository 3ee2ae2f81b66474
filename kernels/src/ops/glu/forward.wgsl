// out = φ(gate) · up, or φ(gate); φ(z) = z·σ(s(z)); s: inner.wgsl.

override GATED: u32;

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    len: u32,
}

@group(0) @binding(0) var<storage, read_write> gate: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read_write> up: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y + params.first_y) * 64u + lane;
    if i < params.len {
        let z = gate[i];
        var value = z / (1.0 + exact_exp(-inner(z)));
        if GATED == 1u {
            value *= up[i];
        }
        out[i] = value;
    }
}
