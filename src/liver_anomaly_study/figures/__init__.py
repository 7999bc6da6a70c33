"""The figures of the papers that need models and images, drawn again on the livers of the comparison; ``making`` lists them."""
