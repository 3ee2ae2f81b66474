// The gradient's norm, and whether the step is applied: only on a finite loss and a finite norm, and where the submission
// before this one ran to its end, and so all before it.
//
// report = loss, norm, 1 or 0; decision = the factor on the gradients, 1 or 0. The loss is zeroed for the next step.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    blocks: u32,
    // 0: no clipping.
    clip: f32,
}

@group(0) @binding(0) var<storage, read_write> squares: array<f32>;
@group(0) @binding(1) var<storage, read_write> total: array<f32>;
@group(0) @binding(2) var<storage, read_write> report: array<f32>;
@group(0) @binding(3) var<storage, read_write> decision: array<f32>;
@group(0) @binding(4) var<storage, read_write> guard: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 256u;

// By the exponent's bits: compilers may assume that floats are finite.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < params.blocks; i += LANES) {
        sum += squares[i];
    }
    sum = workgroup_sum(sum, lane);
    if lane != 0u {
        return;
    }
    let norm = sqrt(sum);
    let applied = is_finite(sum) && is_finite(total[0]) && guard[0] == params.submission - 1u;
    var factor = 1.0;
    if params.clip > 0.0 {
        factor = min(params.clip / (norm + 1e-6), 1.0);
    }
    report[0] = total[0];
    report[1] = norm;
    report[2] = select(0.0, 1.0, applied);
    decision[0] = factor;
    decision[1] = select(0.0, 1.0, applied);
    total[0] = 0.0;
}
