// dq = dS·k. A workgroup makes 32 queries of one head, and goes over the keys 32 at a time; a thread has four queries and
// four keys, then four queries and one part of their gradient.

@group(0) @binding(5) var<storage, read_write> dq: array<Part>;

// dS, [keys, queries]
var<workgroup> gradients: array<f32, 1024>;
var<workgroup> seen: vec2<u32>;

fn seen_keys(first_query: u32, lane: u32) -> vec2<u32> {
    if lane == 0u {
        var first = 0xffffffffu;
        var end = 0u;
        for (var i = first_query; i < min(first_query + TILE, params.rows); i++) {
            let at = statistics_at(i) + 2u * params.query_heads;
            first = min(first, statistics[at]);
            end = max(end, statistics[at + 1u] + 1u);
        }
        seen = vec2(first, end);
    }
    return workgroupUniformLoad(&seen);
}

fn store_gradients(query: u32, key: u32, ds: vec4<f32>) {
    gradients[key * TILE + query] = ds.x;
    gradients[(key + 1u) * TILE + query] = ds.y;
    gradients[(key + 2u) * TILE + query] = ds.z;
    gradients[(key + 3u) * TILE + query] = ds.w;
}

fn store_dq(query: u32, head: u32, p: u32, value: Part) {
    if query < params.rows {
        dq[query_at(query, head) + p] = value;
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.x + params.first_x;
    let key_head = head / (params.query_heads / params.key_heads);
    let first_query = (group.y + params.first_y) * TILE;
    let queries = min(TILE, params.rows - first_query);
    let keys = seen_keys(first_query, lane);
    let query = 4u * (lane / 8u);
    let key = 4u * (lane % 8u);
    for (var start = keys.x; start < keys.y; start += TILE) {
        let t = tile(first_query + query, head, start + key, key_head);
        store_gradients(query, key, t.a.ds);
        store_gradients(query + 1u, key, t.b.ds);
        store_gradients(query + 2u, key, t.c.ds);
        store_gradients(query + 3u, key, t.d.ds);
        workgroupBarrier();
        for (var item = lane; item < (queries + 3u) / 4u * PARTS; item += 64u) {
            let i = 4u * (item / PARTS);
            let p = item % PARTS;
            var t0 = Part();
            var t1 = Part();
            var t2 = Part();
            var t3 = Part();
            if start > keys.x {
                t0 = dq[query_at(first_query + i, head) + p];
                t1 = dq[query_at(first_query + i + 1u, head) + p];
                t2 = dq[query_at(first_query + i + 2u, head) + p];
                t3 = dq[query_at(first_query + i + 3u, head) + p];
            }
            for (var j = 0u; j < min(TILE, keys.y - start); j++) {
                let value = k[key_at(start + j, key_head) + p];
                t0 += gradients[j * TILE + i] * value;
                t1 += gradients[j * TILE + i + 1u] * value;
                t2 += gradients[j * TILE + i + 2u] * value;
                t3 += gradients[j * TILE + i + 3u] * value;
            }
            store_dq(first_query + i, head, p, t0);
            store_dq(first_query + i + 1u, head, p, t1);
            store_dq(first_query + i + 2u, head, p, t2);
            store_dq(first_query + i + 3u, head, p, t3);
        }
        workgroupBarrier();
    }
}
