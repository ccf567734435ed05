"""The intermediate representation. Importing it registers every operation."""

from energylang.ir import algebra, special

__all__ = ["algebra", "special"]
