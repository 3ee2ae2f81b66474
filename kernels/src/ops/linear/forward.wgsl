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
    #repeat i in 0..8
    let r{i} = row_of(tile, {i}u);
    #end
    #repeat i in 0..8
    var s{i} = vec4(0.0);
    #end
    for (var g = 0u; g < params.groups; g++) {
        let a = affine(quad * params.groups + g);
        let first = g * params.blocks_per_group;
        let end = min(first + params.blocks_per_group, params.blocks);
        for (var b = first; b < end; b++) {
            let w = block(quad * params.blocks + b, a);
            #repeat i in 0..8
            s{i} += w.low * input4(r{i}, 2u * b) + w.high * input4(r{i}, 2u * b + 1u);
            #end
        }
    }
    let row = 4u * quad;
    for (var j = 0u; j < params.rank; j++) {
        let factor = params.factor_scale * factor4(params.shard_row + row, j);
        #repeat i in 0..8
        s{i} += low[r{i} * params.rank + j] * factor;
        #end
    }
    var sums = array(
        #repeat i in 0..8
        s{i},
        #end
    );
    for (var i = 0u; i < min(TILE, params.rows - tile * TILE); i++) {
        store4(tile * TILE + i, row, sums[i]);
    }
}
