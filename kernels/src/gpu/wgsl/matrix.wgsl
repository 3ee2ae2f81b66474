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

fn nibbles(words: vec4<u32>, shift: u32) -> vec4<f32> {
    return vec4<f32>((words >> vec4(shift)) & vec4(15u));
}

fn bytes(words: vec4<u32>, shift: u32) -> vec4<f32> {
    return vec4<f32>((words >> vec4(shift)) & vec4(255u));
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

// The block at `index`, counted in quads times blocks, as it is stored: codes without scale and bias.
fn raw_block(index: u32) -> Block {
    if ENCODING == 0u {
        let w = codes[index];
        return Block(
            mat4x4(nibbles(w, 0u), nibbles(w, 4u), nibbles(w, 8u), nibbles(w, 12u)),
            mat4x4(nibbles(w, 16u), nibbles(w, 20u), nibbles(w, 24u), nibbles(w, 28u)),
        );
    }
    if ENCODING == 1u {
        let l = codes[2u * index];
        let h = codes[2u * index + 1u];
        return Block(
            mat4x4(bytes(l, 0u), bytes(l, 8u), bytes(l, 16u), bytes(l, 24u)),
            mat4x4(bytes(h, 0u), bytes(h, 8u), bytes(h, 16u), bytes(h, 24u)),
        );
    }
    if ENCODING == 4u {
        return Block(float_columns(8u * index), float_columns(8u * index + 4u));
    }
    return Block(half_columns(4u * index), half_columns(4u * index + 2u));
}

fn scaled(w: mat4x4<f32>, a: Affine) -> mat4x4<f32> {
    return mat4x4(
        a.scale * w[0] + a.bias,
        a.scale * w[1] + a.bias,
        a.scale * w[2] + a.bias,
        a.scale * w[3] + a.bias,
    );
}

// The block at `index` as weights.
fn block(index: u32, a: Affine) -> Block {
    let raw = raw_block(index);
    if ENCODING > 1u {
        return raw;
    }
    return Block(scaled(raw.low, a), scaled(raw.high, a));
}
