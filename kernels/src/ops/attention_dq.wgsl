// dq = dS·k. A workgroup makes eight queries of one head, and goes over the keys 64 at a time.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    rows: u32,
    query_heads: u32,
    key_heads: u32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read_write> q: array<Part>;
@group(0) @binding(1) var<storage, read_write> k: array<Part>;
@group(0) @binding(2) var<storage, read_write> v: array<Part>;
@group(0) @binding(3) var<storage, read_write> dout: array<Part>;
@group(0) @binding(4) var<storage, read_write> statistics: array<u32>;
@group(0) @binding(5) var<storage, read_write> dq: array<Part>;
@group(1) @binding(0) var<uniform> params: Params;

const QUERIES = 8u;
const KEYS = 64u;

// dS, [QUERIES, KEYS]
var<workgroup> gradients: array<f32, 512>;
var<workgroup> seen: vec2<u32>;

fn seen_keys(first_query: u32, lane: u32) -> vec2<u32> {
    if lane == 0u {
        var first = 0xffffffffu;
        var end = 0u;
        for (var i = first_query; i < min(first_query + QUERIES, params.rows); i++) {
            let at = statistics_at(i) + 2u * params.query_heads;
            first = min(first, statistics[at]);
            end = max(end, statistics[at + 1u] + 1u);
        }
        seen = vec2(first, end);
    }
    return workgroupUniformLoad(&seen);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.x + params.first_x;
    let key_head = head / (params.query_heads / params.key_heads);
    let first_query = (group.y + params.first_y) * QUERIES;
    let queries = min(QUERIES, params.rows - first_query);
    let keys = seen_keys(first_query, lane);
    let q0 = query_at(first_query, head);
    let q1 = query_at(first_query + 1u, head);
    let q2 = query_at(first_query + 2u, head);
    let q3 = query_at(first_query + 3u, head);
    let q4 = query_at(first_query + 4u, head);
    let q5 = query_at(first_query + 5u, head);
    let q6 = query_at(first_query + 6u, head);
    let q7 = query_at(first_query + 7u, head);
    for (var start = keys.x; start < keys.y; start += KEYS) {
        let key = start + lane;
        if key < keys.y {
            let at = key_at(key, key_head);
            var s = array(vec4(0.0), vec4(0.0));
            var ds = array(vec4(0.0), vec4(0.0));
            for (var p = 0u; p < PARTS; p++) {
                let kp = k[at + p];
                let vp = v[at + p];
                s[0] += vec4(inner(q[q0 + p], kp), inner(q[q1 + p], kp), inner(q[q2 + p], kp), inner(q[q3 + p], kp));
                s[1] += vec4(inner(q[q4 + p], kp), inner(q[q5 + p], kp), inner(q[q6 + p], kp), inner(q[q7 + p], kp));
                ds[0] += vec4(
                    inner(dout[q0 + p], vp), inner(dout[q1 + p], vp), inner(dout[q2 + p], vp), inner(dout[q3 + p], vp),
                );
                ds[1] += vec4(
                    inner(dout[q4 + p], vp), inner(dout[q5 + p], vp), inner(dout[q6 + p], vp), inner(dout[q7 + p], vp),
                );
            }
            for (var i = 0u; i < QUERIES; i++) {
                gradients[i * KEYS + lane] =
                    gradient(first_query + i, head, key, s[i / 4u][i % 4u], ds[i / 4u][i % 4u]).y;
            }
        }
        workgroupBarrier();
        for (var item = lane; item < queries * PARTS; item += 64u) {
            let i = item / PARTS;
            let to = query_at(first_query + i, head) + item % PARTS;
            var total = Part();
            if start > keys.x {
                total = dq[to];
            }
            for (var j = 0u; j < min(KEYS, keys.y - start); j++) {
                total += gradients[i * KEYS + j] * k[key_at(start + j, key_head) + item % PARTS];
            }
            dq[to] = total;
        }
        workgroupBarrier();
    }
}
