// out[i] = Σ_j softmax_j(scale · q[i]·k[j]) · v[j] over the keys that spans[i] names, and the log-sum-exp of the scores.
//
// A workgroup makes eight queries of one head. It goes over the keys 64 at a time and keeps each query's maximum and sum
// as it goes (Milakov and Gimelshein, 2018); `out` holds the sum of values so far, relative to the maximum so far.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    rows: u32,
    query_heads: u32,
    key_heads: u32,
    scale: f32,
}

// Parts a head.
override PARTS: u32;
// Whether there is one query only.
override SINGLE: u32;

@group(0) @binding(0) var<storage, read_write> q: array<Part>;
@group(0) @binding(1) var<storage, read_write> k: array<Part>;
@group(0) @binding(2) var<storage, read_write> v: array<Part>;
@group(0) @binding(3) var<storage, read_write> spans: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> out: array<Part>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const QUERIES = 8u;
const KEYS = 64u;
const LOWEST = -3.4e38;

// [QUERIES, KEYS]
var<workgroup> scores: array<f32, 512>;
var<workgroup> maxima: array<f32, 64>;
var<workgroup> sums: array<f32, 64>;
var<workgroup> factors: array<f32, QUERIES>;
var<workgroup> seen: vec2<u32>;

fn query_at(query: u32, head: u32) -> u32 {
    return (min(query, params.rows - 1u) * params.query_heads + head) * PARTS;
}

// The keys that any of eight queries sees: the first, and one past the last.
fn seen_keys(first_query: u32, lane: u32) -> vec2<u32> {
    if lane == 0u {
        var first = 0xffffffffu;
        var end = 0u;
        for (var i = first_query; i < min(first_query + QUERIES, params.rows); i++) {
            first = min(first, spans[i].x);
            end = max(end, spans[i].y + 1u);
        }
        seen = vec2(first, end);
    }
    return workgroupUniformLoad(&seen);
}

// Scores of key `key` with eight queries.
fn score_key(first_query: u32, head: u32, key_at: u32, lane: u32) {
    if SINGLE == 1u {
        let at = query_at(first_query, head);
        var sum = 0.0;
        for (var p = 0u; p < PARTS; p++) {
            sum += inner(q[at + p], k[key_at + p]);
        }
        scores[lane] = params.scale * sum;
        return;
    }
    let q0 = query_at(first_query, head);
    let q1 = query_at(first_query + 1u, head);
    let q2 = query_at(first_query + 2u, head);
    let q3 = query_at(first_query + 3u, head);
    let q4 = query_at(first_query + 4u, head);
    let q5 = query_at(first_query + 5u, head);
    let q6 = query_at(first_query + 6u, head);
    let q7 = query_at(first_query + 7u, head);
    var low = vec4(0.0);
    var high = vec4(0.0);
    for (var p = 0u; p < PARTS; p++) {
        let key = k[key_at + p];
        low += vec4(inner(q[q0 + p], key), inner(q[q1 + p], key), inner(q[q2 + p], key), inner(q[q3 + p], key));
        high += vec4(inner(q[q4 + p], key), inner(q[q5 + p], key), inner(q[q6 + p], key), inner(q[q7 + p], key));
    }
    low *= params.scale;
    high *= params.scale;
    scores[lane] = low.x;
    scores[KEYS + lane] = low.y;
    scores[2u * KEYS + lane] = low.z;
    scores[3u * KEYS + lane] = low.w;
    scores[4u * KEYS + lane] = high.x;
    scores[5u * KEYS + lane] = high.y;
    scores[6u * KEYS + lane] = high.z;
    scores[7u * KEYS + lane] = high.w;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.x + params.first_x;
    let key_head = head / (params.query_heads / params.key_heads);
    let first_query = (group.y + params.first_y) * QUERIES;
    let queries = min(QUERIES, params.rows - first_query);
    let keys = seen_keys(first_query, lane);
    // In the softmax, eight threads share a query.
    let query = lane / 8u;
    let part = lane % 8u;
    let span = spans[min(first_query + query, params.rows - 1u)];
    var most = LOWEST;
    var sum = 0.0;
    for (var start = keys.x; start < keys.y; start += KEYS) {
        if start + lane < keys.y {
            score_key(first_query, head, ((start + lane) * params.key_heads + key_head) * PARTS, lane);
        }
        workgroupBarrier();
        var local_most = LOWEST;
        for (var i = 8u * part; i < 8u * part + 8u; i++) {
            if query < queries && start + i >= span.x && start + i <= span.y {
                local_most = max(local_most, scores[query * KEYS + i]);
            }
        }
        maxima[lane] = local_most;
        workgroupBarrier();
        var new_most = most;
        for (var i = 0u; i < 8u; i++) {
            new_most = max(new_most, maxima[8u * query + i]);
        }
        var local_sum = 0.0;
        for (var i = 8u * part; i < 8u * part + 8u; i++) {
            var weight = 0.0;
            if query < queries && start + i >= span.x && start + i <= span.y {
                weight = exact_exp(scores[query * KEYS + i] - new_most);
            }
            scores[query * KEYS + i] = weight;
            local_sum += weight;
        }
        sums[lane] = local_sum;
        let factor = exact_exp(most - new_most);
        if part == 0u {
            factors[query] = factor;
        }
        workgroupBarrier();
        sum *= factor;
        for (var i = 0u; i < 8u; i++) {
            sum += sums[8u * query + i];
        }
        most = new_most;
        for (var item = lane; item < queries * PARTS; item += 64u) {
            let i = item / PARTS;
            let at = query_at(first_query + i, head) + item % PARTS;
            var total = Part();
            if start > keys.x {
                total = factors[i] * out[at];
            }
            var value_at = (start * params.key_heads + key_head) * PARTS + item % PARTS;
            for (var j = 0u; j < min(KEYS, keys.y - start); j++) {
                total += scores[i * KEYS + j] * v[value_at];
                value_at += params.key_heads * PARTS;
            }
            out[at] = total;
        }
        workgroupBarrier();
    }
    if part == 0u {
        factors[query] = 1.0 / sum;
        if query < queries {
            lse[(first_query + query) * params.query_heads + head] = log(sum) + most;
        }
    }
    workgroupBarrier();
    for (var item = lane; item < queries * PARTS; item += 64u) {
        let at = query_at(first_query + item / PARTS, head) + item % PARTS;
        out[at] = factors[item / PARTS] * out[at];
    }
}
