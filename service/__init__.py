"""femurct: surfaces and regional volumes of the proximal femur from hip CT.

Not validated for clinical use.
"""

__version__ = "0.1.0"
