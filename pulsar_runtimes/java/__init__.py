"""What can be told of Java code without running Java: class files, packages, and the types of a function.

Standard library only, and no effects but reading the package.
"""
