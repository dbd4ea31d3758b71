"""Peak rates of devices according to their manufacturers, and machines of some years."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """The peak rates and sizes of a device, according to its manufacturer."""

    name: str
    float32_flops: float
    """Multiplications and additions per second."""
    bfloat16_flops: float | None
    """The same for products of dense bfloat16 matrices; None if it has none."""
    memory_bytes_per_second: float
    memory_bytes: float
    link_bytes_per_second: float
    """Rate of the link to another device, in each direction."""
    source: str


GTX_580 = Device(
    *("GTX 580, 3 GB", 1.581e12, None, 192.4e9, 3e9, 8e9),
    "NVIDIA, GeForce GTX 580 (512 cores at 1,544 MHz); paper, section 3.2 (3 GB); PCI Express 2.0, 16 lanes",
)
H200 = Device(
    *("H200", 67e12, 989.5e12, 4.8e12, 141e9, 450e9),
    "NVIDIA, H200 data sheet, SXM: half of the rate with sparsity; NVLink's 900 GB/s count both directions",
)


@dataclass(frozen=True)
class Machine:
    """A machine that could train or run a network in some year."""

    year: int
    name: str
    operations_per_second: float
    """Multiplications and additions of float32, at most."""
    source: str


MACHINES = (
    Machine(
        *(1989, "AT&T DSP-32C", 25e6),
        "LeCun et al. 1989: at most 12.5 million multiply-adds a second",
    ),
    Machine(
        *(1998, "one MIPS R10000, 200 MHz", 400e6),
        "LeCun et al. 1998 (the machine); we count two operations a cycle, an addition and a multiplication",
    ),
    Machine(2012, "two GTX 580", 2 * GTX_580.float32_flops, GTX_580.source),
    Machine(2024, "one H200", H200.float32_flops, H200.source),
)
"""The best machines of their years that the networks' authors mention, and a modern one."""
