// m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; p ← p·decay − step · m / (√v/root + ε); then g ← 0. One thread a parameter.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    len: u32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    // 1 − lr·λ, lr/(1 − β₁ᵗ), √(1 − β₂ᵗ).
    decay: f32,
    step: f32,
    root: f32,
}

@group(0) @binding(0) var<storage, read_write> p: array<f32>;
@group(0) @binding(1) var<storage, read_write> grads: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read_write> decision: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y + params.first_y) * 64u + lane;
    if i >= params.len {
        return;
    }
    if decision[1] == 1.0 {
        let g = decision[0] * grads[i];
        let first = params.beta1 * m[i] + (1.0 - params.beta1) * g;
        let second = params.beta2 * v[i] + (1.0 - params.beta2) * g * g;
        m[i] = first;
        v[i] = second;
        p[i] = p[i] * params.decay - params.step * first / (sqrt(second) / params.root + params.epsilon);
    }
    grads[i] = 0.0;
}
