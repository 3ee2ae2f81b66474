// out[i] = Σ_j softmax_j(cap(scale · q[i]·k[j]) − slope·distance) · v[j] over the keys that spans[i] names, and the log-sum-exp of the scores.
//
// A workgroup makes 32 queries of one head. It goes over the keys 32 at a time, a thread scoring four queries with four
// keys, and keeps each query's maximum and sum as it goes (Milakov and Gimelshein, 2018); `out` holds the sum of values
// so far, relative to the maximum so far.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    rows: u32,
    query_heads: u32,
    key_heads: u32,
    scale: f32,
    cap: f32,
    lower: f32,
}

// Parts a head.
override PARTS: u32;
// Numbers a span: the first key and the last one that a query sees; 4: and one past the keys that it sees before them,
// and the first of these.
override SPAN: u32;

@group(0) @binding(0) var<storage, read_write> q: array<Part>;
@group(0) @binding(1) var<storage, read_write> k: array<Part>;
@group(0) @binding(2) var<storage, read_write> v: array<Part>;
@group(0) @binding(3) var<storage, read_write> spans: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<Part>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const TILE = 32u;
const LOWEST = -3.4e38;

// [keys, queries]
var<workgroup> scores: array<f32, 1024>;
var<workgroup> maxima: array<f32, 64>;
var<workgroup> sums: array<f32, 64>;
var<workgroup> factors: array<f32, TILE>;
var<workgroup> seen: vec2<u32>;

fn query_at(query: u32, head: u32) -> u32 {
    return (min(query, params.rows - 1u) * params.query_heads + head) * PARTS;
}

fn span_of(query: u32) -> vec4<u32> {
    let at = min(query, params.rows - 1u) * SPAN;
    var before = vec2(0u);
    if SPAN == 4u {
        before = vec2(spans[at + 2u], spans[at + 3u]);
    }
    return vec4(spans[at], spans[at + 1u], before);
}

fn sees(span: vec4<u32>, key: u32) -> bool {
    return (key >= span.x && key <= span.y) || (key >= span.w && key < span.z);
}

// How far a key lies before the query of a span, which is the last of its own keys.
fn distance(span: vec4<u32>, key: u32) -> f32 {
    if key >= span.x {
        return f32(span.y - key);
    }
    return f32((span.y - span.x) + (span.z - key));
}

// The keys that any query of a tile sees: the first, and one past the last.
fn seen_keys(first_query: u32, lane: u32) -> vec2<u32> {
    if lane == 0u {
        var first = 0xffffffffu;
        var end = 0u;
        for (var i = first_query; i < min(first_query + TILE, params.rows); i++) {
            let span = span_of(i);
            first = min(first, select(span.x, span.w, span.z > span.w));
            end = max(end, span.y + 1u);
        }
        seen = vec2(first, end);
    }
    return workgroupUniformLoad(&seen);
}

fn store_scores(key: u32, quad: u32, score: vec4<f32>) {
    let at = key * TILE + 4u * quad;
    let scaled = params.scale * score;
    scores[at] = soft_cap(scaled.x, params.cap);
    scores[at + 1u] = soft_cap(scaled.y, params.cap);
    scores[at + 2u] = soft_cap(scaled.z, params.cap);
    scores[at + 3u] = soft_cap(scaled.w, params.cap);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.x + params.first_x;
    let key_head = head / (params.query_heads / params.key_heads);
    let first_query = (group.y + params.first_y) * TILE;
    let queries = min(TILE, params.rows - first_query);
    let keys = seen_keys(first_query, lane);
    // While scoring, a thread has four queries and four keys.
    let query_quad = lane / 8u;
    let key_quad = lane % 8u;
    let q0 = query_at(first_query + 4u * query_quad, head);
    let q1 = query_at(first_query + 4u * query_quad + 1u, head);
    let q2 = query_at(first_query + 4u * query_quad + 2u, head);
    let q3 = query_at(first_query + 4u * query_quad + 3u, head);
    // In the softmax, two threads share a query.
    let query = lane / 2u;
    let half = lane % 2u;
    let span = span_of(first_query + query);
    let slope = alibi_slope(head, params.lower);
    var most = LOWEST;
    var sum = 0.0;
    for (var start = keys.x; start < keys.y; start += TILE) {
        let key = start + 4u * key_quad;
        let k0 = (min(key, keys.y - 1u) * params.key_heads + key_head) * PARTS;
        let k1 = (min(key + 1u, keys.y - 1u) * params.key_heads + key_head) * PARTS;
        let k2 = (min(key + 2u, keys.y - 1u) * params.key_heads + key_head) * PARTS;
        let k3 = (min(key + 3u, keys.y - 1u) * params.key_heads + key_head) * PARTS;
        var s0 = vec4(0.0);
        var s1 = vec4(0.0);
        var s2 = vec4(0.0);
        var s3 = vec4(0.0);
        for (var p = 0u; p < PARTS; p++) {
            let a = q[q0 + p];
            let b = q[q1 + p];
            let c = q[q2 + p];
            let d = q[q3 + p];
            s0 += inner4(a, b, c, d, k[k0 + p]);
            s1 += inner4(a, b, c, d, k[k1 + p]);
            s2 += inner4(a, b, c, d, k[k2 + p]);
            s3 += inner4(a, b, c, d, k[k3 + p]);
        }
        store_scores(4u * key_quad, query_quad, s0);
        store_scores(4u * key_quad + 1u, query_quad, s1);
        store_scores(4u * key_quad + 2u, query_quad, s2);
        store_scores(4u * key_quad + 3u, query_quad, s3);
        workgroupBarrier();
        var local_most = LOWEST;
        for (var j = 16u * half; j < 16u * half + 16u; j++) {
            if sees(span, start + j) {
                let score = scores[j * TILE + query] - slope * distance(span, start + j);
                scores[j * TILE + query] = score;
                local_most = max(local_most, score);
            }
        }
        maxima[lane] = local_most;
        workgroupBarrier();
        let new_most = max(most, max(maxima[2u * query], maxima[2u * query + 1u]));
        var local_sum = 0.0;
        for (var j = 16u * half; j < 16u * half + 16u; j++) {
            var weight = 0.0;
            if sees(span, start + j) {
                weight = exact_exp(scores[j * TILE + query] - new_most);
            }
            scores[j * TILE + query] = weight;
            local_sum += weight;
        }
        sums[lane] = local_sum;
        let factor = exact_exp(most - new_most);
        if half == 0u {
            factors[query] = factor;
        }
        workgroupBarrier();
        sum = factor * sum + (sums[2u * query] + sums[2u * query + 1u]);
        most = new_most;
        // Four queries and one part of their values.
        for (var item = lane; item < (queries + 3u) / 4u * PARTS; item += 64u) {
            let i = 4u * (item / PARTS);
            let p = item % PARTS;
            var t0 = Part();
            var t1 = Part();
            var t2 = Part();
            var t3 = Part();
            if start > keys.x {
                t0 = factors[i] * out[query_at(first_query + i, head) + p];
                t1 = factors[i + 1u] * out[query_at(first_query + i + 1u, head) + p];
                t2 = factors[i + 2u] * out[query_at(first_query + i + 2u, head) + p];
                t3 = factors[i + 3u] * out[query_at(first_query + i + 3u, head) + p];
            }
            var value_at = (start * params.key_heads + key_head) * PARTS + p;
            for (var j = 0u; j < min(TILE, keys.y - start); j++) {
                let value = v[value_at];
                t0 += scores[j * TILE + i] * value;
                t1 += scores[j * TILE + i + 1u] * value;
                t2 += scores[j * TILE + i + 2u] * value;
                t3 += scores[j * TILE + i + 3u] * value;
                value_at += params.key_heads * PARTS;
            }
            store_out(first_query + i, head, p, t0);
            store_out(first_query + i + 1u, head, p, t1);
            store_out(first_query + i + 2u, head, p, t2);
            store_out(first_query + i + 3u, head, p, t3);
        }
        workgroupBarrier();
    }
    if half == 0u {
        factors[query] = 1.0 / sum;
        if query < queries {
            lse[(first_query + query) * params.query_heads + head] = log(sum) + most;
        }
    }
    workgroupBarrier();
    for (var item = lane; item < (queries + 3u) / 4u * PARTS; item += 64u) {
        for (var i = 4u * (item / PARTS); i < min(queries, 4u * (item / PARTS) + 4u); i++) {
            let at = query_at(first_query + i, head) + item % PARTS;
            out[at] = factors[i] * out[at];
        }
    }
}

fn store_out(query: u32, head: u32, p: u32, value: Part) {
    if query < params.rows {
        out[query_at(query, head) + p] = value;
    }
}
