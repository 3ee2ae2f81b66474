//! Kernels: WGSL files put together, specialised by definitions and constants, compiled once a device.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::marker::PhantomData;

use super::device::Device;
use super::memory::Binding;
#[cfg(test)]
use super::params::Field;
use super::params::{Header, Params};
use super::wgsl::{Definitions, Source, expand};
use crate::error::{Error, Result};

/// A shader that is launched with parameters `P`.
#[derive(Debug)]
pub(crate) struct Kernel<P> {
    pub shader: Shader,
    params: PhantomData<P>,
}

/// A compute shader: the text of several `.wgsl` files, whose entry point is `main`.
///
/// Storage buffers are group 0, in the order of a launch's bindings. The parameters are the uniform of group 1: a
/// [`Header`] that the executor fills in, then a launch's own.
#[derive(Debug)]
pub(crate) struct Shader {
    /// Unique, for caches and error messages.
    pub name: &'static str,
    /// The files. WGSL does not mind their order.
    sources: &'static [Source],
    definitions: Definitions,
    /// Every pipeline constant and the values that it takes somewhere: what the tests translate.
    #[cfg_attr(not(test), expect(dead_code))]
    pub constants: Constants,
    /// The members of its parameters behind the header, and the bytes that they take.
    #[cfg(test)]
    pub params: (&'static [Field], usize),
}

/// Names of pipeline constants, and values of each.
pub(crate) type Constants = &'static [(&'static str, &'static [u32])];

/// Bytes of one dispatch's parameters: the strictest alignment that WebGPU asks of a uniform.
pub(crate) const SLOT: usize = 256;

impl<P: Params> Kernel<P> {
    pub const fn new(name: &'static str, sources: &'static [Source], constants: Constants) -> Self {
        assert!(size_of::<Header>() + size_of::<P>() <= SLOT, "too many parameters");
        let shader = Shader {
            name,
            sources,
            definitions: &[],
            constants,
            #[cfg(test)]
            params: (P::FIELDS, size_of::<P>()),
        };
        Self { shader, params: PhantomData }
    }

    /// The variant of these definitions.
    pub const fn with(mut self, definitions: Definitions) -> Self {
        self.shader.definitions = definitions;
        self
    }
}

impl Shader {
    /// The whole text.
    ///
    /// # Errors
    /// What is wrong in a file's directives; the tests expand all.
    pub fn source(&self) -> Result<String, String> {
        let texts = self.sources.iter().map(|source| expand(source, self.definitions));
        texts.collect::<Result<String, _>>().map_err(|wrong| format!("{}: {wrong}", self.name))
    }
}

/// The place of a pipeline in its cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PipelineId(pub usize);

/// A compiled pipeline and the layout of its storage buffers.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub name: &'static str,
    pub compute: wgpu::ComputePipeline,
    pub storage: wgpu::BindGroupLayout,
}

/// Which storage buffers are read-only (frozen weights), in order.
type Shape = Vec<bool>;

type Key = (&'static str, Vec<(&'static str, u32)>, Shape);

/// Modules, layouts and pipelines, shared by all programs of an executor. A clone keeps what is compiled so far.
#[derive(Clone)]
pub(crate) struct Pipelines {
    /// Layout of group 1.
    pub uniform: wgpu::BindGroupLayout,
    modules: HashMap<&'static str, wgpu::ShaderModule>,
    layouts: HashMap<Shape, (wgpu::BindGroupLayout, wgpu::PipelineLayout)>,
    ids: HashMap<Key, PipelineId>,
    pipelines: Vec<Pipeline>,
}

impl Pipelines {
    pub fn new(device: &Device) -> Self {
        let uniform = device.wgpu.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("parameters"),
            entries: &[wgpu::BindGroupLayoutEntry {
                binding: 0,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Uniform,
                    has_dynamic_offset: true,
                    min_binding_size: None,
                },
                count: None,
            }],
        });
        Self { uniform, modules: HashMap::new(), layouts: HashMap::new(), ids: HashMap::new(), pipelines: Vec::new() }
    }

    pub fn get(&self, id: PipelineId) -> &Pipeline {
        &self.pipelines[id.0]
    }

    /// The pipeline of `shader` with these constants over buffers of this kind, compiled where it is not yet.
    pub fn compile(
        &mut self,
        device: &Device,
        shader: &'static Shader,
        constants: &[(&'static str, u32)],
        bindings: &[Binding],
    ) -> Result<PipelineId> {
        let shape: Shape = bindings.iter().map(Binding::is_frozen).collect();
        let key = (shader.name, constants.to_vec(), shape.clone());
        if let Some(&id) = self.ids.get(&key) {
            return Ok(id);
        }
        let module = match self.modules.entry(shader.name) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let source = shader.source().map_err(Error::DeviceLost)?;
                place.insert(device.wgpu.create_shader_module(wgpu::ShaderModuleDescriptor {
                    label: Some(shader.name),
                    source: wgpu::ShaderSource::Wgsl(source.into()),
                }))
            }
        };
        let uniform = &self.uniform;
        let (storage, layout) = self.layouts.entry(shape).or_insert_with_key(|shape| layout(device, uniform, shape));
        let constants: Vec<(&str, f64)> = constants.iter().map(|&(name, value)| (name, f64::from(value))).collect();
        let compute = device.wgpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(shader.name),
            layout: Some(layout),
            module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                // Every kernel writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        device.check()?;
        let id = PipelineId(self.pipelines.len());
        self.pipelines.push(Pipeline { name: shader.name, compute, storage: storage.clone() });
        self.ids.insert(key, id);
        Ok(id)
    }
}

fn layout(
    device: &Device,
    uniform: &wgpu::BindGroupLayout,
    shape: &[bool],
) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
    let entries: Vec<_> = (0..)
        .zip(shape)
        .map(|(binding, &read_only)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    let storage =
        device.wgpu.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    let layout = device.wgpu.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&storage), Some(uniform)],
        immediate_size: 0,
    });
    (storage, layout)
}
