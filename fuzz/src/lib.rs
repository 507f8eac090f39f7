//! Bodies of the fuzz targets, shared with the regression tests.
