//! Every kernel, with every value of its constants, is valid WGSL and translates to SPIR-V, MSL and GLSL; and its `Params`
//! has the members of the struct that its launches give.
//!
//! Where `IDIOLECT_SPIRV` names a folder, the SPIR-V is written there, a file for each kernel and combination of its
//! constants: what `tests/run shaders` has a real GPU's compiler translate.

use std::path::Path;

use naga::back::{PipelineConstants, glsl, msl, pipeline_constants, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

use super::kernel::Shader;
use super::params::{Field, Header, Params};

/// All combinations of a kernel's constants.
fn combinations(kernel: &Shader) -> Vec<PipelineConstants> {
    kernel.constants.iter().fold(vec![PipelineConstants::default()], |sets, (name, values)| {
        let extended = |set: &PipelineConstants, value: u32| {
            let mut set = set.clone();
            set.insert((*name).to_owned(), f64::from(value));
            set
        };
        sets.iter().flat_map(|set| values.iter().map(|&v| extended(set, v))).collect()
    })
}

/// A kernel and its constants in words, the constants in the order of its table.
fn label(kernel: &Shader, constants: &PipelineConstants) -> String {
    let values = kernel.constants.iter().filter_map(|(name, _)| Some(format!(" {name}={}", constants.get(*name)?)));
    kernel.name.to_owned() + &values.collect::<String>()
}

/// SPIR-V as wgpu makes it for a device of Vulkan 1.3 that checks the bounds of buffers itself.
fn spirv(module: &naga::Module, info: &ModuleInfo) -> Result<Vec<u32>, spv::Error> {
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
        bounds_check_policies: BoundsCheckPolicies {
            index: BoundsCheckPolicy::Restrict,
            ..BoundsCheckPolicies::default()
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        ..spv::Options::default()
    };
    let pipeline = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".to_owned() };
    spv::write_vec(module, info, &options, Some(&pipeline))
}

fn translate(kernel: &Shader, module: &naga::Module, info: &ModuleInfo) -> Result<Vec<u32>, String> {
    let stage = naga::ShaderStage::Compute;
    let entry_point = "main".to_owned();
    let spirv = spirv(module, info).map_err(|e| format!("{}: SPIR-V: {e}", kernel.name))?;
    let options = msl::Options { fake_missing_bindings: true, ..Default::default() };
    let pipeline = msl::PipelineOptions { entry_point: Some((stage, entry_point.clone())), ..Default::default() };
    msl::write_string(module, info, &options, &pipeline).map_err(|e| format!("{}: MSL: {e}", kernel.name))?;
    let options = glsl::Options { version: glsl::Version::new_gles(310), ..Default::default() };
    let pipeline = glsl::PipelineOptions { shader_stage: stage, entry_point, multiview: None };
    let mut text = String::new();
    glsl::Writer::new(&mut text, module, info, &options, &pipeline, BoundsCheckPolicies::default())
        .and_then(|mut writer| writer.write())
        .map_err(|e| format!("{}: GLSL: {e}", kernel.name))?;
    Ok(spirv)
}

/// The header and a kernel's own parameters, as its launches give them: their members and the bytes of all.
fn given_params(kernel: &Shader) -> (Vec<String>, usize) {
    let (own, bytes) = kernel.params;
    let own = own.iter().map(|field| (field, size_of::<Header>()));
    let all = Header::FIELDS.iter().map(|field| (field, 0)).chain(own);
    let member = |(f, start): (&Field, usize)| format!("{}: {} at {}", f.name, f.scalar, start + f.offset);
    (all.map(member).collect(), size_of::<Header>() + bytes)
}

/// What its shader takes.
fn taken_params(module: &naga::Module) -> (Vec<String>, usize) {
    let of_kernel = |variable: &&naga::GlobalVariable| variable.space == naga::AddressSpace::Uniform;
    let uniforms: Vec<_> = module.global_variables.iter().map(|(_, variable)| variable).filter(of_kernel).collect();
    let [uniform] = uniforms[..] else { return (Vec::new(), 0) };
    let naga::TypeInner::Struct { members, span } = &module.types[uniform.ty].inner else { return (Vec::new(), 0) };
    let scalar = |ty| match module.types[ty].inner {
        naga::TypeInner::Scalar(naga::Scalar::U32) => "u32".to_owned(),
        naga::TypeInner::Scalar(naga::Scalar::F32) => "f32".to_owned(),
        ref other => format!("{other:?}"),
    };
    let member =
        |m: &naga::StructMember| format!("{}: {} at {}", m.name.as_deref().unwrap_or_default(), scalar(m.ty), m.offset);
    (members.iter().map(member).collect(), *span as usize)
}

#[test]
fn every_kernel_translates() {
    let folder = std::env::var_os("IDIOLECT_SPIRV");
    let mut failures = Vec::new();
    let kernels = crate::ops::kernels();
    for kernel in kernels.into_iter().chain([&super::recorder::ZERO.shader, &super::flow::GUARD.shader]) {
        let source = match kernel.source() {
            Ok(source) => source,
            Err(wrong) => {
                failures.push(wrong);
                continue;
            }
        };
        let module = match naga::front::wgsl::parse_str(&source) {
            Ok(module) => module,
            Err(e) => {
                failures.push(format!("{}: {}", kernel.name, e.emit_to_string(&source)));
                continue;
            }
        };
        // The baseline of WebGPU, which has `unpack2x16float`, and nothing optional.
        let capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        let info = match Validator::new(ValidationFlags::all(), capabilities).validate(&module) {
            Ok(info) => info,
            Err(e) => {
                failures.push(format!("{}: {}", kernel.name, e.emit_to_string(&source)));
                continue;
            }
        };
        for constants in combinations(kernel) {
            let stage = Some((naga::ShaderStage::Compute, "main"));
            match pipeline_constants::process_overrides(&module, &info, stage, &constants) {
                Ok((module, info)) => match (translate(kernel, &module, &info), &folder) {
                    (Ok(words), Some(folder)) => {
                        let file = Path::new(folder).join(label(kernel, &constants) + ".spv");
                        std::fs::write(file, bytemuck::cast_slice(&words)).unwrap();
                    }
                    (Ok(_), None) => {}
                    (Err(failure), _) => failures.push(failure),
                },
                Err(e) => failures.push(format!("{} {constants:?}: {e}", kernel.name)),
            }
        }
        let names: Vec<_> = module.overrides.iter().filter_map(|(_, o)| o.name.clone()).collect();
        if names.iter().any(|n| kernel.constants.iter().all(|(known, _)| known != n)) {
            failures.push(format!("{}: constants {names:?} are not all in its table", kernel.name));
        }
        let (given, taken) = (given_params(kernel), taken_params(&module));
        if given != taken {
            failures.push(format!("{}: parameters:\n  given {given:?}\n  taken {taken:?}", kernel.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
