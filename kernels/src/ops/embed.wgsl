// out[t] = scale · table[ids[t]], or added: one thread a block of eight columns. A table in several shards is looked up in each; a row
// is written by the shard that holds it.

override ADD: u32;

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    // Tokens times blocks.
    len: u32,
    width: u32,
    blocks: u32,
    groups: u32,
    blocks_per_group: u32,
    // The shard's rows.
    first_row: u32,
    rows: u32,
    scale: f32,
}

@group(0) @binding(2) var<storage, read_write> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

fn write(at: u32, value: f32) {
    if ADD == 1u {
        out[at] += value;
    } else {
        out[at] = value;
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y + params.first_y) * 64u + lane;
    if i >= params.len {
        return;
    }
    let token = i / params.blocks;
    let b = i % params.blocks;
    let row = ids[token] - params.first_row;
    if row >= params.rows {
        return;
    }
    let quad = row / 4u;
    let w = block(quad * params.blocks + b, affine(quad * params.groups + b / params.blocks_per_group));
    let start = token * params.width + 8u * b;
    let row_of_quad = row % 4u;
    for (var j = 0u; j < min(4u, params.width - 8u * b); j++) {
        write(start + j, params.scale * w.low[j][row_of_quad]);
    }
    for (var j = 4u; j < min(8u, params.width - 8u * b); j++) {
        write(start + j, params.scale * w.high[j - 4u][row_of_quad]);
    }
}
