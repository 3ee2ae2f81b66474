// dk = dSᵀ·q and dv = Pᵀ·dout, summed over the query heads that share a key/value head. A workgroup makes 32 keys of one
// key/value head, and goes over the heads and the queries, 32 at a time; a thread has four queries and four keys, then
// four keys and one part of their gradients.

@group(0) @binding(5) var<storage, read_write> dk: array<Part>;
@group(0) @binding(6) var<storage, read_write> dv: array<Part>;

// P and dS, [queries, keys]
var<workgroup> weights: array<f32, 1024>;
var<workgroup> gradients: array<f32, 1024>;
var<workgroup> reached: u32;

// One past the last query that sees any key of a tile.
fn query_end(first_key: u32, lane: u32) -> u32 {
    if lane == 0u {
        var end = 0u;
        for (var j = first_key; j < min(first_key + TILE, params.rows); j++) {
            end = max(end, statistics[statistics_at(j) + 2u * params.query_heads + 2u]);
        }
        reached = end;
    }
    return workgroupUniformLoad(&reached);
}

fn store_gradients(query: u32, key: u32, scores: Scores) {
    let at = query * TILE + key;
    for (var i = 0u; i < 4u; i++) {
        weights[at + i] = scores.s[i];
        gradients[at + i] = scores.ds[i];
    }
}

// Adds one head and tile of queries to the gradients of four keys' part `p`.
fn add_tile(first_key: u32, j: u32, p: u32, key_head: u32, head: u32, start: u32, count: u32, fresh: bool) {
    var k0 = Part();
    var k1 = Part();
    var k2 = Part();
    var k3 = Part();
    var v0 = Part();
    var v1 = Part();
    var v2 = Part();
    var v3 = Part();
    for (var i = 0u; i < count; i++) {
        let at = query_at(start + i, head) + p;
        let query = q[at];
        let value = dout[at];
        let g = i * TILE + j;
        k0 += gradients[g] * query;
        k1 += gradients[g + 1u] * query;
        k2 += gradients[g + 2u] * query;
        k3 += gradients[g + 3u] * query;
        v0 += weights[g] * value;
        v1 += weights[g + 1u] * value;
        v2 += weights[g + 2u] * value;
        v3 += weights[g + 3u] * value;
    }
    add_to(first_key + j, key_head, p, k0, v0, fresh);
    add_to(first_key + j + 1u, key_head, p, k1, v1, fresh);
    add_to(first_key + j + 2u, key_head, p, k2, v2, fresh);
    add_to(first_key + j + 3u, key_head, p, k3, v3, fresh);
}

fn add_to(key: u32, key_head: u32, p: u32, dk_part: Part, dv_part: Part, fresh: bool) {
    if key >= params.rows {
        return;
    }
    let at = key_at(key, key_head) + p;
    if fresh {
        dk[at] = dk_part;
        dv[at] = dv_part;
    } else {
        dk[at] += dk_part;
        dv[at] += dv_part;
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let key_head = group.x + params.first_x;
    let first_key = (group.y + params.first_y) * TILE;
    let keys = min(TILE, params.rows - first_key);
    let end = query_end(first_key, lane);
    let shared_by = params.query_heads / params.key_heads;
    let query = 4u * (lane / 8u);
    let key = 4u * (lane % 8u);
    for (var head = key_head * shared_by; head < (key_head + 1u) * shared_by; head++) {
        for (var start = first_key; start < end; start += TILE) {
            let t = tile(start + query, head, first_key + key, key_head);
            store_gradients(query, key, t.a);
            store_gradients(query + 1u, key, t.b);
            store_gradients(query + 2u, key, t.c);
            store_gradients(query + 3u, key, t.d);
            workgroupBarrier();
            let fresh = head == key_head * shared_by && start == first_key;
            for (var item = lane; item < (keys + 3u) / 4u * PARTS; item += 64u) {
                add_tile(first_key, 4u * (item / PARTS), item % PARTS, key_head, head, start, min(TILE, end - start), fresh);
            }
            workgroupBarrier();
        }
    }
}
