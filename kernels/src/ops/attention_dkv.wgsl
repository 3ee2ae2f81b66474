// dk = dSᵀ·q and dv = Pᵀ·dout, summed over the query heads that share a key/value head. A workgroup makes eight keys of
// one key/value head, and goes over the heads and the queries, 64 at a time.

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
@group(0) @binding(5) var<storage, read_write> dk: array<Part>;
@group(0) @binding(6) var<storage, read_write> dv: array<Part>;
@group(1) @binding(0) var<uniform> params: Params;

const KEYS = 8u;
const QUERIES = 64u;

// P and dS, [KEYS, QUERIES]
var<workgroup> gradients: array<vec2<f32>, 512>;
var<workgroup> reached: u32;

// One past the last query that sees any of eight keys.
fn query_end(first_key: u32, lane: u32) -> u32 {
    if lane == 0u {
        var end = 0u;
        for (var j = first_key; j < min(first_key + KEYS, params.rows); j++) {
            end = max(end, statistics[statistics_at(j) + 2u * params.query_heads + 2u]);
        }
        reached = end;
    }
    return workgroupUniformLoad(&reached);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let key_head = group.x + params.first_x;
    let first_key = (group.y + params.first_y) * KEYS;
    let keys = min(KEYS, params.rows - first_key);
    let end = query_end(first_key, lane);
    let shared_by = params.query_heads / params.key_heads;
    let k0 = key_at(first_key, key_head);
    let k1 = key_at(first_key + 1u, key_head);
    let k2 = key_at(first_key + 2u, key_head);
    let k3 = key_at(first_key + 3u, key_head);
    let k4 = key_at(first_key + 4u, key_head);
    let k5 = key_at(first_key + 5u, key_head);
    let k6 = key_at(first_key + 6u, key_head);
    let k7 = key_at(first_key + 7u, key_head);
    for (var head = key_head * shared_by; head < (key_head + 1u) * shared_by; head++) {
        for (var start = first_key; start < end; start += QUERIES) {
            let row = start + lane;
            if row < end {
                let at = query_at(row, head);
                var s = array(vec4(0.0), vec4(0.0));
                var ds = array(vec4(0.0), vec4(0.0));
                for (var p = 0u; p < PARTS; p++) {
                    let qp = q[at + p];
                    let dp = dout[at + p];
                    s[0] += vec4(inner(k[k0 + p], qp), inner(k[k1 + p], qp), inner(k[k2 + p], qp), inner(k[k3 + p], qp));
                    s[1] += vec4(inner(k[k4 + p], qp), inner(k[k5 + p], qp), inner(k[k6 + p], qp), inner(k[k7 + p], qp));
                    ds[0] += vec4(inner(v[k0 + p], dp), inner(v[k1 + p], dp), inner(v[k2 + p], dp), inner(v[k3 + p], dp));
                    ds[1] += vec4(inner(v[k4 + p], dp), inner(v[k5 + p], dp), inner(v[k6 + p], dp), inner(v[k7 + p], dp));
                }
                for (var j = 0u; j < KEYS; j++) {
                    gradients[j * QUERIES + lane] =
                        gradient(row, head, first_key + j, s[j / 4u][j % 4u], ds[j / 4u][j % 4u]);
                }
            }
            workgroupBarrier();
            for (var item = lane; item < keys * PARTS; item += 64u) {
                let j = item / PARTS;
                let to = key_at(first_key + j, key_head) + item % PARTS;
                var dk_total = Part();
                var dv_total = Part();
                if head > key_head * shared_by || start > first_key {
                    dk_total = dk[to];
                    dv_total = dv[to];
                }
                for (var i = 0u; i < min(QUERIES, end - start); i++) {
                    let g = gradients[j * QUERIES + i];
                    let from_query = query_at(start + i, head) + item % PARTS;
                    dk_total += g.y * q[from_query];
                    dv_total += g.x * dout[from_query];
                }
                dk[to] = dk_total;
                dv[to] = dv_total;
            }
            workgroupBarrier();
        }
    }
}
