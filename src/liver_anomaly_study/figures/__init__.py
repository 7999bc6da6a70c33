"""The figures of the papers that need models and images, drawn again on the cases of the comparison; ``catalogue`` lists them."""
