// The k best of every 256 candidates of a row, in order: larger value first, then lower index. Repeated until one block is
// left, which writes the result: k values, k indices.
//
// A candidate is a key, u32 in the order of the floats, and an index. Candidates of equal keys lie in the order of their
// indices from the first round on, so that places decide. Each thread counts the candidates that beat its own.

// Whether candidates are the logits themselves, and whether this is the last round.
override FIRST: u32;
override LAST: u32;

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    // Candidates a row.
    count: u32,
    // Blocks a row.
    blocks: u32,
    k: u32,
}

@group(0) @binding(0) var<storage, read_write> candidates: array<u32>;
@group(0) @binding(1) var<storage, read_write> best: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

const BLOCK = 256u;
// Stands where there are fewer than k candidates: index, and the bits of −∞.
const NOBODY = 0xffffffffu;
const MINUS_INFINITY = 0xff800000u;

var<workgroup> keys: array<u32, BLOCK>;

// The bits of a float as a number of the same order, and back.
fn ordered(bits: u32) -> u32 {
    return bits ^ select(0x80000000u, 0xffffffffu, bits >= 0x80000000u);
}

fn float_bits(key: u32) -> u32 {
    return key ^ select(0xffffffffu, 0x80000000u, key >= 0x80000000u);
}

@compute @workgroup_size(BLOCK)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let block = group.x + params.first_x;
    let row = group.y + params.first_y;
    let i = block * BLOCK + lane;
    var key = 0u;
    var index = NOBODY;
    if i < params.count {
        let at = row * params.count + i;
        if FIRST == 1u {
            key = ordered(candidates[at]);
            index = i;
        } else {
            key = candidates[2u * at];
            index = candidates[2u * at + 1u];
        }
    }
    keys[lane] = key;
    workgroupBarrier();
    var rank = 0u;
    for (var c = 0u; c < BLOCK; c += 4u) {
        let others = vec4(keys[c], keys[c + 1u], keys[c + 2u], keys[c + 3u]);
        let places = vec4(c, c + 1u, c + 2u, c + 3u);
        let ahead = (others > vec4(key)) | ((others == vec4(key)) & (places < vec4(lane)));
        let counted = select(vec4(0u), vec4(1u), ahead);
        rank += counted.x + counted.y + counted.z + counted.w;
    }
    if rank >= params.k {
        return;
    }
    if LAST == 1u {
        let at = row * (2u * params.k + 1u) + rank;
        best[at] = select(float_bits(key), MINUS_INFINITY, index == NOBODY);
        best[at + params.k] = index;
    } else {
        let at = 2u * ((row * params.blocks + block) * params.k + rank);
        best[at] = key;
        best[at + 1u] = index;
    }
}
