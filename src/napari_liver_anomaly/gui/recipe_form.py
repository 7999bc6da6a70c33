"""Choose a recipe for synthetic anomalies, its settings and its seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSizePolicy, QSpinBox, QStyledItemDelegate, QVBoxLayout, QWidget

from napari_liver_anomaly.gui.settings_form import SettingsForm
from napari_liver_anomaly.gui.style import form, small, wheel_needs_focus
from napari_liver_anomaly.settings import summary_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.synthesis import Recipe

MOST, MARGINS_PX = 2**31 - 1, 40
PICTURES, PICTURE, MOST_SEEN = Path(__file__).parent / "recipe_pictures", QSize(110, 80), 6  # made by docs/recipe_pictures.py
TITLES = {  # as a reader says them; the command line has the short names
    "nodules": "Nodules",
    "varied-nodules": "Nodules, small to large",
    "blobs": "Blobs with texture",
    "noise-stretch": "Stretched noise",
    "noise-stretch-paper": "Stretched noise (paper's code)",
    "paintbrush": "Brush strokes",
    "squares": "Squares",
    "circles": "Discs",
    "zeroed-squares": "Black squares (context autoencoder)",
    "perlin": "Perlin noise (DRAEM)",
    "hu-tumours": "Handcrafted tumours (Hu et al.)",
    "layers": "Texture that shines through",
    "fpi": "Foreign patches (FPI)",
    "pii": "Patches by Poisson's equation (PII)",
    "cutpaste": "Cut and paste (CutPaste)",
    "nsa": "Natural synthetic anomalies (NSA)",
}
NONE = {"p_empty": "Left healthy (share)"}
STRETCH = {"sigma_px": "Size (px)", "shift_high": "Largest contrast (grey)"} | NONE
STROKES = {"width_high": "Largest width (px)", "least_change": "Least contrast", "strokes_high": "Most strokes"}
MIXED = {"half_high": "Largest radius (share)", "alpha_high": "Largest opacity"} | NONE
FIRST = {  # of each recipe what decides size, contrast and number; the other numbers are folded away
    "nodules": {
        "radius_high_mm": "Largest radius (mm)",
        "dark_high_hu": "Largest contrast (HU)",
        "p_many": "With many lesions (share)",
    },
    "varied-nodules": {
        "p_small": "Small lesions (share)",
        "p_large": "Large lesions (share)",
        "p_many": "With many lesions (share)",
    },
    "blobs": {"scale": "Size (times)", "dark_high_hu": "Largest contrast (HU)"} | NONE,
    "noise-stretch": STRETCH,
    "noise-stretch-paper": STRETCH,
    "paintbrush": STROKES,
    "squares": STROKES,
    "circles": STROKES,
    "zeroed-squares": {"width": "Size (px)", "count_high": "Most squares"} | NONE,
    "perlin": {"finest": "Fineness", "kept_high": "Most of the old tissue"} | NONE,
    "hu-tumours": {"height_mm": "Height (mm)", "contrast_high_hu": "Largest contrast (HU)"} | NONE,
    "layers": {"radius_high": "Largest radius (share)", "opacity_high": "Largest opacity"} | NONE,
    "fpi": MIXED,
    "pii": MIXED,
    "cutpaste": {"area_high": "Largest area (share)", "jitter": "Contrast"} | NONE,
    "nsa": {"half_high": "Largest radius (share)", "patches": "Most pieces"} | NONE,
}


class RecipeForm(QWidget):
    """Recipe, seed, and the rows of the chosen recipe."""

    changed = Signal()

    def __init__(self, recipes: Mapping[str, type[Recipe]]) -> None:
        super().__init__()
        self._recipes = dict(recipes)
        self.recipe = QComboBox()
        self.recipe.setSizePolicy(
            QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed
        )  # the longest title does not widen the panel
        for name in self._recipes:
            self.recipe.addItem(QIcon(str(PICTURES / f"{name}.png")), TITLES.get(name, name), name)
        if (listed := self.recipe.view()) is not None:
            listed.setIconSize(PICTURE)
            widest = max(map(self.recipe.fontMetrics().horizontalAdvance, TITLES.values()))
            listed.setMinimumWidth(PICTURE.width() + widest + MARGINS_PX)
            listed.setItemDelegate(
                QStyledItemDelegate(listed)
            )  # the list of a menu would show them as small as the closed box does
        self.recipe.setStyleSheet("QComboBox { combobox-popup: 0; }")  # a list that scrolls, no menu as tall as the screen
        self.recipe.setMaxVisibleItems(MOST_SEEN)
        self.recipe.setToolTip("How an anomaly is drawn; the same code makes the training samples")
        self.about = small()
        self.seed = QSpinBox()
        self.seed.setKeyboardTracking(False)
        self.seed.setRange(0, MOST)
        self.seed.setToolTip("The same seed gives the same anomalies in the same scan, here and on the command line")
        self.new = QPushButton("New one")
        self.new.setToolTip("Draw another seed")
        self.rows: dict[str, SettingsForm] = {}
        seed = QHBoxLayout()
        seed.setSpacing(4)
        seed.addWidget(self.seed, stretch=1)
        seed.addWidget(self.new)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self._layout.addLayout(form({"Recipe": self.recipe, "Seed": seed}))
        self._layout.addWidget(self.about)
        self.recipe.currentIndexChanged.connect(self._turn)
        self.seed.valueChanged.connect(lambda _: self.changed.emit())
        self.new.clicked.connect(self.draw_seed)
        self._turn()

    @property
    def value(self) -> Recipe:
        """The recipe as the rows show it."""
        return self.rows[self.recipe.currentData()].value()

    def name_rows(self, finding: Finding) -> Finding:
        """Name rows in a finding as they are named here."""
        return self.rows[self.recipe.currentData()].name_rows(finding)

    def draw_seed(self) -> None:
        """Take another seed by chance."""
        self.seed.setValue(int(np.random.default_rng().integers(100_000)))

    def _turn(self, _index: int = 0) -> None:
        """Show the rows of the chosen recipe, made when they are first wanted."""
        name = self.recipe.currentData()
        if name not in self.rows:
            words = FIRST.get(name, {})
            rows = self.rows[name] = SettingsForm(self._recipes[name], words=words, first=tuple(words))
            wheel_needs_focus(rows)
            rows.changed.connect(self.changed)
            self._layout.addWidget(rows)
        for other, rows in self.rows.items():
            rows.setVisible(other == name)
        self.about.setText(summary_of(self._recipes[name]))
        self.changed.emit()
