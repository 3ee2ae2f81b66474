// What both forms of `out = residual + x·Wᵀ + bias + scale·low·Bᵀ` bind: matrix.wgsl has bindings 0 and 1, the input
// accessor 2.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    // Rows of x.
    rows: u32,
    // First row of x, of low, of residual; first row of out.
    input_row: u32,
    out_row: u32,
    // Columns of W, and of x.
    input_width: u32,
    quads: u32,
    blocks: u32,
    groups: u32,
    blocks_per_group: u32,
    // Rows of the whole W: the width of out. First row and rows of this shard.
    out_width: u32,
    shard_row: u32,
    shard_rows: u32,
    // 0 where there is no adapter.
    rank: u32,
    // Where B starts in `factors`.
    factor_offset: u32,
    factor_scale: f32,
}

@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> residual: array<f32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read_write> low: array<f32>;
@group(0) @binding(7) var<storage, read_write> factors: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

override RESIDUAL: u32;
override BIAS: u32;

// B's column `j` for the four rows of W from `row` on.
fn factor4(row: u32, j: u32) -> vec4<f32> {
    let at = params.factor_offset + row * params.rank + j;
    return vec4(
        factors[at],
        factors[at + params.rank],
        factors[at + 2u * params.rank],
        factors[at + 3u * params.rank],
    );
}

// Adds what belongs to the four outputs of row `token` (counted from `input_row`) from W's row `shard_row + row` on,
// and stores those that exist.
fn store4(token: u32, row: u32, product: vec4<f32>) {
    let column = params.shard_row + row;
    let at = (params.out_row + token) * params.out_width + column;
    let residual_at = (params.input_row + token) * params.out_width + column;
    for (var i = 0u; i < 4u; i++) {
        if row + i < params.shard_rows {
            var value = product[i];
            if RESIDUAL == 1u {
                value += residual[residual_at + i];
            }
            if BIAS == 1u {
                value += bias[column + i];
            }
            out[at + i] = value;
        }
    }
}
