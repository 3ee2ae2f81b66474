// What both halves of attention's gradient compute: P = exp(c(scale·q·kᵀ) − slope·distance − lse) and dS = scale · P∘(dout·vᵀ − δ)∘c', for tiles
// of 32 queries and 32 keys, from the statistics that backward_statistics.wgsl leaves.

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

@group(0) @binding(0) var<storage, read_write> q: array<Part>;
@group(0) @binding(1) var<storage, read_write> k: array<Part>;
@group(0) @binding(2) var<storage, read_write> v: array<Part>;
@group(0) @binding(3) var<storage, read_write> dout: array<Part>;
@group(0) @binding(4) var<storage, read_write> statistics: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

const TILE = 32u;

fn statistics_at(row: u32) -> u32 {
    return min(row, params.rows - 1u) * (2u * params.query_heads + 3u);
}

fn query_at(row: u32, head: u32) -> u32 {
    return (min(row, params.rows - 1u) * params.query_heads + head) * PARTS;
}

fn key_at(row: u32, head: u32) -> u32 {
    return (min(row, params.rows - 1u) * params.key_heads + head) * PARTS;
}

// Of four keys with one query: q·k and dout·v.
struct Scores {
    s: vec4<f32>,
    ds: vec4<f32>,
}

// P and dS of one query with four keys from `key` on; zero where the query does not see the key.
fn gradient(row: u32, head: u32, key: u32, scores: Scores) -> Scores {
    let at = statistics_at(row);
    let first = statistics[at + 2u * params.query_heads];
    let last = statistics[at + 2u * params.query_heads + 1u];
    let lse = bitcast<f32>(statistics[at + 2u * head]);
    let delta = bitcast<f32>(statistics[at + 2u * head + 1u]);
    var p = vec4(0.0);
    var slope = vec4(0.0);
    let fall = alibi_slope(head, params.lower);
    for (var i = 0u; i < 4u; i++) {
        if row < params.rows && key + i >= first && key + i <= last {
            let score = soft_cap(params.scale * scores.s[i], params.cap);
            p[i] = exact_exp(score - fall * f32(last - (key + i)) - lse);
            slope[i] = soft_cap_slope(score, params.cap);
        }
    }
    // Where P is zero the other factor may be anything.
    let ds = params.scale * p * (scores.ds - delta) * slope;
    return Scores(p, select(ds, vec4(0.0), p == vec4(0.0)));
}

// P and dS of four queries with four keys.
struct Tile {
    a: Scores,
    b: Scores,
    c: Scores,
    d: Scores,
}

fn tile(row: u32, head: u32, key: u32, key_head: u32) -> Tile {
    let q0 = query_at(row, head);
    let q1 = query_at(row + 1u, head);
    let q2 = query_at(row + 2u, head);
    let q3 = query_at(row + 3u, head);
    let k0 = key_at(key, key_head);
    let k1 = key_at(key + 1u, key_head);
    let k2 = key_at(key + 2u, key_head);
    let k3 = key_at(key + 3u, key_head);
    let zero = Scores(vec4(0.0), vec4(0.0));
    var a = zero;
    var b = zero;
    var c = zero;
    var d = zero;
    for (var p = 0u; p < PARTS; p++) {
        let ka = k[k0 + p];
        let kb = k[k1 + p];
        let kc = k[k2 + p];
        let kd = k[k3 + p];
        a.s += inner4(ka, kb, kc, kd, q[q0 + p]);
        b.s += inner4(ka, kb, kc, kd, q[q1 + p]);
        c.s += inner4(ka, kb, kc, kd, q[q2 + p]);
        d.s += inner4(ka, kb, kc, kd, q[q3 + p]);
        let va = v[k0 + p];
        let vb = v[k1 + p];
        let vc = v[k2 + p];
        let vd = v[k3 + p];
        a.ds += inner4(va, vb, vc, vd, dout[q0 + p]);
        b.ds += inner4(va, vb, vc, vd, dout[q1 + p]);
        c.ds += inner4(va, vb, vc, vd, dout[q2 + p]);
        d.ds += inner4(va, vb, vc, vd, dout[q3 + p]);
    }
    return Tile(
        gradient(row, head, key, a),
        gradient(row + 1u, head, key, b),
        gradient(row + 2u, head, key, c),
        gradient(row + 3u, head, key, d),
    );
}
