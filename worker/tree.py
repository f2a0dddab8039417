"""Building a tree of modules by paths such as `layer1.0.conv1.weight`."""

from torch import Tensor, fx, nn


def put_tensor(root: nn.Module, path: str, tensor: Tensor, persistent: bool = True) -> None:
    """A parameter as a parameter, anything else as a buffer: even as a layer's weight it must not be trained."""
    owner, _, name = path.rpartition(".")
    module = container(root, owner)
    if isinstance(tensor, nn.Parameter):
        module._buffers.pop(name, None)
        setattr(module, name, tensor)
    else:
        module._parameters.pop(name, None)
        module.register_buffer(name, tensor.detach(), persistent)


def put_module(root: nn.Module, path: str, module: nn.Module) -> None:
    owner, _, name = path.rpartition(".")
    container(root, owner).add_module(name, module)


def container(root: nn.Module, path: str) -> nn.Module:
    """The module at `path`, made of empty modules where there is none."""
    module = root
    for name in path.split(".") if path else ():
        if name not in module._modules:
            module.add_module(name, nn.Module())
        module = module.get_submodule(name)
    return module


def graph_module(root: nn.Module, graph: fx.Graph) -> fx.GraphModule:
    """`graph` over all of `root`, whereas fx alone keeps only what the graph names."""
    network = fx.GraphModule(root, graph)
    network._modules.update(root._modules)
    network._parameters.update(root._parameters)
    network._buffers.update(root._buffers)
    network._non_persistent_buffers_set |= root._non_persistent_buffers_set
    return network
