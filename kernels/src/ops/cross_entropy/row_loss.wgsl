// One row of logits: z under the soft cap: loss = log Σ_v exp(z[v]) − z[target]; in training
// z ← weight · (softmax(z) − onehot(target))∘cap'.
//
// A logit is read and written by one lane alone: the barriers here order workgroup memory, not storage.

override TRAIN: u32;

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    vocabulary: u32,
    // The row of targets and losses that the first row of logits belongs to.
    first_row: u32,
    weight: f32,
    cap: f32,
}

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 256u;
const LOWEST = -3.4e38;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y + params.first_y;
    let start = row * params.vocabulary;
    let token = targets[params.first_row + row];
    var own = 0.0;
    if lane == token % LANES {
        own = soft_cap(logits[start + token], params.cap);
    }
    var most = LOWEST;
    for (var i = lane; i < params.vocabulary; i += LANES) {
        most = max(most, soft_cap(logits[start + i], params.cap));
    }
    most = workgroup_max(most, lane);
    var sum = 0.0;
    for (var i = lane; i < params.vocabulary; i += LANES) {
        sum += exact_exp(soft_cap(logits[start + i], params.cap) - most);
    }
    sum = workgroup_sum(sum, lane);
    if lane == token % LANES {
        losses[params.first_row + row] = log(sum) + most - own;
    }
    if TRAIN == 1u {
        let factor = params.weight / sum;
        for (var i = lane; i < params.vocabulary; i += LANES) {
            let z = soft_cap(logits[start + i], params.cap);
            let p = factor * exact_exp(z - most);
            logits[start + i] = select(p, p - params.weight, i == token) * soft_cap_slope(z, params.cap);
        }
    }
}
