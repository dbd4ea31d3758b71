"""What a trained net makes of photos inside: features kept as files, nearest photos, what it looks at."""

from __future__ import annotations
