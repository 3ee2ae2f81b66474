// out = residual + x·Wᵀ + bias + scale·low·Bᵀ for several rows of x.
//
// A thread makes eight rows of x times four rows of W: it dequantizes a block of four by eight once for all eight rows.
// A workgroup is 16 quads of W by 4 tiles of x.

const TILE = 8u;

fn row_of(tile: u32, i: u32) -> u32 {
    return params.input_row + min(tile * TILE + i, params.rows - 1u);
}

@compute @workgroup_size(16, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let quad = (group.x + params.first_x) * 16u + local.x;
    let tile = (group.y + params.first_y) * 4u + local.y;
    if quad >= params.quads || tile * TILE >= params.rows {
        return;
    }
    let r0 = row_of(tile, 0u);
    let r1 = row_of(tile, 1u);
    let r2 = row_of(tile, 2u);
    let r3 = row_of(tile, 3u);
    let r4 = row_of(tile, 4u);
    let r5 = row_of(tile, 5u);
    let r6 = row_of(tile, 6u);
    let r7 = row_of(tile, 7u);
    var s0 = vec4(0.0);
    var s1 = vec4(0.0);
    var s2 = vec4(0.0);
    var s3 = vec4(0.0);
    var s4 = vec4(0.0);
    var s5 = vec4(0.0);
    var s6 = vec4(0.0);
    var s7 = vec4(0.0);
    for (var g = 0u; g < params.groups; g++) {
        let a = affine(quad * params.groups + g);
        let first = g * params.blocks_per_group;
        let end = min(first + params.blocks_per_group, params.blocks);
        for (var b = first; b < end; b++) {
            let w = block(quad * params.blocks + b, a);
            s0 += w.low * input4(r0, 2u * b) + w.high * input4(r0, 2u * b + 1u);
            s1 += w.low * input4(r1, 2u * b) + w.high * input4(r1, 2u * b + 1u);
            s2 += w.low * input4(r2, 2u * b) + w.high * input4(r2, 2u * b + 1u);
            s3 += w.low * input4(r3, 2u * b) + w.high * input4(r3, 2u * b + 1u);
            s4 += w.low * input4(r4, 2u * b) + w.high * input4(r4, 2u * b + 1u);
            s5 += w.low * input4(r5, 2u * b) + w.high * input4(r5, 2u * b + 1u);
            s6 += w.low * input4(r6, 2u * b) + w.high * input4(r6, 2u * b + 1u);
            s7 += w.low * input4(r7, 2u * b) + w.high * input4(r7, 2u * b + 1u);
        }
    }
    let row = 4u * quad;
    for (var j = 0u; j < params.rank; j++) {
        let factor = params.factor_scale * factor4(params.shard_row + row, j);
        s0 += low[r0 * params.rank + j] * factor;
        s1 += low[r1 * params.rank + j] * factor;
        s2 += low[r2 * params.rank + j] * factor;
        s3 += low[r3 * params.rank + j] * factor;
        s4 += low[r4 * params.rank + j] * factor;
        s5 += low[r5 * params.rank + j] * factor;
        s6 += low[r6 * params.rank + j] * factor;
        s7 += low[r7 * params.rank + j] * factor;
    }
    var sums = array(s0, s1, s2, s3, s4, s5, s6, s7);
    for (var i = 0u; i < min(TILE, params.rows - tile * TILE); i++) {
        store4(tile * TILE + i, row, sums[i]);
    }
}
