"""The figures that stand behind a model: measured on named cases, beside a rule without learning, nothing left out in silence."""
