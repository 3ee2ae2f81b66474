// dx = dy·W + low·A or dx += …, from the same blocks as the forward product, read along the other axis.
//
// A thread makes eight rows of dy times eight columns of W. A workgroup is 16 blocks of columns by 4 tiles of dy.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    // Rows of dy.
    rows: u32,
    // First row of dy and low; first row of dx.
    input_row: u32,
    out_row: u32,
    // Rows of the whole W: the width of dy.
    input_width: u32,
    // The first quad of this shard in W.
    first_quad: u32,
    // The quads of the shard that are summed over: the first, and one past the last.
    from_quad: u32,
    end_quad: u32,
    blocks: u32,
    groups: u32,
    blocks_per_group: u32,
    // Columns of W: the width of dx.
    out_width: u32,
    // 0 where there is no adapter, or another launch adds it.
    rank: u32,
    // Where A starts in `factors`.
    factor_offset: u32,
    factor_scale: f32,
}

override ADD: u32;

@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> low: array<f32>;
@group(0) @binding(5) var<storage, read_write> factors: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const TILE = 8u;

// Eight columns' sums.
struct Sums {
    low: vec4<f32>,
    high: vec4<f32>,
}

fn row_of(tile: u32, i: u32) -> u32 {
    return params.input_row + min(tile * TILE + i, params.rows - 1u);
}

fn added(sums: Sums, dy: vec4<f32>, w: Block) -> Sums {
    return Sums(sums.low + dy * w.low, sums.high + dy * w.high);
}

fn with_factor(sums: Sums, row: u32, j: u32, a: Sums) -> Sums {
    let scale = params.factor_scale * low[row * params.rank + j];
    return Sums(sums.low + scale * a.low, sums.high + scale * a.high);
}

fn store1(at: u32, value: f32) {
    if ADD == 1u {
        dx[at] += value;
    } else {
        dx[at] = value;
    }
}

@compute @workgroup_size(16, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let b = (group.x + params.first_x) * 16u + local.x;
    let tile = (group.y + params.first_y) * 4u + local.y;
    if b >= params.blocks || tile * TILE >= params.rows {
        return;
    }
    #repeat i in 0..8
    let r{i} = row_of(tile, {i}u);
    #end
    let zero = Sums(vec4(0.0), vec4(0.0));
    #repeat i in 0..8
    var s{i} = zero;
    #end
    let g = b / params.blocks_per_group;
    for (var q = params.from_quad; q < params.end_quad; q++) {
        let w = block(q * params.blocks + b, affine(q * params.groups + g));
        let at = params.first_quad + q;
        #repeat i in 0..8
        s{i} = added(s{i}, input4(r{i}, at), w);
        #end
    }
    let column = 8u * b;
    for (var j = 0u; j < params.rank; j++) {
        let at = params.factor_offset + j * params.out_width + column;
        let a = Sums(
            vec4(factors[at], factors[at + 1u], factors[at + 2u], factors[at + 3u]),
            vec4(factors[at + 4u], factors[at + 5u], factors[at + 6u], factors[at + 7u]),
        );
        #repeat i in 0..8
        s{i} = with_factor(s{i}, r{i}, j, a);
        #end
    }
    var sums = array(
        #repeat i in 0..8
        s{i},
        #end
    );
    for (var i = 0u; i < min(TILE, params.rows - tile * TILE); i++) {
        let at = (params.out_row + tile * TILE + i) * params.out_width + column;
        for (var c = 0u; c < min(4u, params.out_width - column); c++) {
            store1(at + c, sums[i].low[c]);
        }
        for (var c = 4u; c < min(8u, params.out_width - column); c++) {
            store1(at + c, sums[i].high[c - 4u]);
        }
    }
}
