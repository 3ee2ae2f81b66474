// Attention of one query: out = Σ_j softmax_j(cap(scale · q·k[j]) − slope·distance) · v[j], and the log-sum-exp of the scores.
//
// A workgroup makes one head. It goes over the keys 64 at a time, a thread scoring one, and keeps maximum and sum as it
// goes. For the values, threads share the keys and the parts of a head.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    query_heads: u32,
    key_heads: u32,
    scale: f32,
    cap: f32,
    lower: f32,
}

// Parts a head, at most 256.
override PARTS: u32;

@group(0) @binding(0) var<storage, read_write> q: array<Part>;
@group(0) @binding(1) var<storage, read_write> k: array<Part>;
@group(0) @binding(2) var<storage, read_write> v: array<Part>;
@group(0) @binding(3) var<storage, read_write> spans: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<Part>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
const LOWEST = -3.4e38;

var<workgroup> weights: array<f32, LANES>;
// [shares, PARTS], an element a thread or more.
var<workgroup> totals: array<Part, 256>;
var<workgroup> seen: vec2<u32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.x + params.first_x;
    let key_head = head / (params.query_heads / params.key_heads);
    if lane == 0u {
        seen = vec2(spans[0], spans[1] + 1u);
    }
    let keys = workgroupUniformLoad(&seen);
    let shares = max(1u, LANES / PARTS);
    let slope = alibi_slope(head, params.lower);
    var most = LOWEST;
    var sum = 0.0;
    for (var start = keys.x; start < keys.y; start += LANES) {
        var score = LOWEST;
        if start + lane < keys.y {
            let at = ((start + lane) * params.key_heads + key_head) * PARTS;
            score = 0.0;
            for (var p = 0u; p < PARTS; p++) {
                score += inner(q[head * PARTS + p], k[at + p]);
            }
            score = soft_cap(params.scale * score, params.cap) - slope * f32(keys.y - 1u - (start + lane));
        }
        let new_most = max(most, workgroup_max(score, lane));
        var weight = 0.0;
        if start + lane < keys.y {
            weight = exact_exp(score - new_most);
        }
        weights[lane] = weight;
        let factor = exact_exp(most - new_most);
        sum = factor * sum + workgroup_sum(weight, lane);
        most = new_most;
        for (var item = lane; item < shares * PARTS; item += LANES) {
            let p = item % PARTS;
            var total = Part();
            if start > keys.x {
                total = factor * totals[item];
            }
            for (var j = item / PARTS; j < min(LANES, keys.y - start); j += shares) {
                total += weights[j] * v[((start + j) * params.key_heads + key_head) * PARTS + p];
            }
            totals[item] = total;
        }
        workgroupBarrier();
    }
    for (var p = lane; p < PARTS; p += LANES) {
        var total = totals[p];
        for (var share = 1u; share < shares; share++) {
            total += totals[share * PARTS + p];
        }
        out[head * PARTS + p] = (1.0 / sum) * total;
    }
    if lane == 0u {
        lse[head] = log(sum) + most;
    }
}
