// What both halves of attention's gradient compute: P = exp(scale·q·kᵀ − lse) and dS = scale · P∘(dout·vᵀ − δ), from
// the statistics that attention_statistics.wgsl leaves. The kernel declares `params` and `statistics`.

// Parts a head.
override PARTS: u32;

fn statistics_at(row: u32) -> u32 {
    return row * (2u * params.query_heads + 3u);
}

fn sees(row: u32, key: u32) -> bool {
    let at = statistics_at(row) + 2u * params.query_heads;
    return key >= statistics[at] && key <= statistics[at + 1u];
}

// P and dS of one query row and key, from q·k and dout·v; zero where the query does not see the key.
fn gradient(row: u32, head: u32, key: u32, score: f32, dscore: f32) -> vec2<f32> {
    if row >= params.rows || !sees(row, key) {
        return vec2(0.0);
    }
    let at = statistics_at(row) + 2u * head;
    let p = exact_exp(params.scale * score - bitcast<f32>(statistics[at]));
    return vec2(p, params.scale * p * (dscore - bitcast<f32>(statistics[at + 1u])));
}

fn query_at(row: u32, head: u32) -> u32 {
    return (min(row, params.rows - 1u) * params.query_heads + head) * PARTS;
}

fn key_at(row: u32, head: u32) -> u32 {
    return (min(row, params.rows - 1u) * params.key_heads + head) * PARTS;
}
