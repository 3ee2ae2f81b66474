// Blocks of a frozen matrix: four rows (a "quad") by eight columns, as gpu/weights.rs packs them.
//
// Quantized: w = scale · q + bias, scale and bias per row and group of columns. Bindings 0 and 1 of the kernel.

// 0: 4-bit codes, 1: 8-bit codes, 2: f16, 3: bf16, 4: f32.
override ENCODING: u32;
// The type of scales and biases; 0: f16, 1: bf16, 2: f32.
override SCALES: u32;

@group(0) @binding(0) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> scales: array<vec4<u32>>;

// Scale and bias of four rows.
struct Affine {
    scale: vec4<f32>,
    bias: vec4<f32>,
}

// Columns 0 to 3 and 4 to 7 of a block. Column j of the matrix type holds four rows' values of column j.
struct Block {
    low: mat4x4<f32>,
    high: mat4x4<f32>,
}

fn lower_halves(words: vec4<u32>) -> vec4<f32> {
    return vec4(
        unpack2x16float(words.x).x,
        unpack2x16float(words.y).x,
        unpack2x16float(words.z).x,
        unpack2x16float(words.w).x,
    );
}

fn upper_halves(words: vec4<u32>) -> vec4<f32> {
    return lower_halves(words >> vec4(16u));
}

// Scales and biases at `index`, counted in quads times groups; nothing for floats.
fn affine(index: u32) -> Affine {
    if ENCODING > 1u {
        return Affine(vec4(1.0), vec4(0.0));
    }
    if SCALES == 0u {
        let words = scales[index];
        return Affine(lower_halves(words), upper_halves(words));
    }
    if SCALES == 1u {
        let words = scales[index];
        return Affine(bitcast<vec4<f32>>(words << vec4(16u)), bitcast<vec4<f32>>(words & vec4(0xffff0000u)));
    }
    return Affine(bitcast<vec4<f32>>(scales[2u * index]), bitcast<vec4<f32>>(scales[2u * index + 1u]));
}

fn code4(words: vec4<u32>, shift: u32, a: Affine) -> vec4<f32> {
    return a.scale * vec4<f32>((words >> vec4(shift)) & vec4(15u)) + a.bias;
}

fn code8(words: vec4<u32>, shift: u32, a: Affine) -> vec4<f32> {
    return a.scale * vec4<f32>((words >> vec4(shift)) & vec4(255u)) + a.bias;
}

fn half_columns(index: u32) -> mat4x4<f32> {
    let first = codes[index];
    let second = codes[index + 1u];
    if ENCODING == 2u {
        return mat4x4(lower_halves(first), upper_halves(first), lower_halves(second), upper_halves(second));
    }
    return mat4x4(
        bitcast<vec4<f32>>(first << vec4(16u)),
        bitcast<vec4<f32>>(first & vec4(0xffff0000u)),
        bitcast<vec4<f32>>(second << vec4(16u)),
        bitcast<vec4<f32>>(second & vec4(0xffff0000u)),
    );
}

fn float_columns(index: u32) -> mat4x4<f32> {
    return mat4x4(
        bitcast<vec4<f32>>(codes[index]),
        bitcast<vec4<f32>>(codes[index + 1u]),
        bitcast<vec4<f32>>(codes[index + 2u]),
        bitcast<vec4<f32>>(codes[index + 3u]),
    );
}

// The block at `index`, counted in quads times blocks, as floats.
fn block(index: u32, a: Affine) -> Block {
    if ENCODING == 0u {
        let w = codes[index];
        return Block(
            mat4x4(code4(w, 0u, a), code4(w, 4u, a), code4(w, 8u, a), code4(w, 12u, a)),
            mat4x4(code4(w, 16u, a), code4(w, 20u, a), code4(w, 24u, a), code4(w, 28u, a)),
        );
    }
    if ENCODING == 1u {
        let l = codes[2u * index];
        let h = codes[2u * index + 1u];
        return Block(
            mat4x4(code8(l, 0u, a), code8(l, 8u, a), code8(l, 16u, a), code8(l, 24u, a)),
            mat4x4(code8(h, 0u, a), code8(h, 8u, a), code8(h, 16u, a), code8(h, 24u, a)),
        );
    }
    if ENCODING == 4u {
        return Block(float_columns(8u * index), float_columns(8u * index + 4u));
    }
    return Block(half_columns(4u * index), half_columns(4u * index + 2u));
}
