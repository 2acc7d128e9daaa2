"""GDAL by Rasterio: pictures of the earth written, read by windows and overviews, listed, joined, by its own client."""

import os

import numpy
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError
from rasterio.shutil import copy, delete
from rasterio.transform import from_origin
from rasterio.windows import Window

SIZE, TILE = 3000, 512
PLACE = f"/vsis3/{os.environ['BUCKET']}"


def settings() -> dict[str, str]:
    """Return what GDAL has to know of the bucket beside the keys."""
    host = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    place = {"AWS_S3_ENDPOINT": host, "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE", "VSIS3_CHUNK_SIZE": "5"}
    return place | {"CPL_VSIL_USE_TEMP_FILE_FOR_RANDOM_WRITE": "YES"}


def readable(name: str) -> bool:
    """Return whether there is a picture."""
    try:
        rasterio.open(name).close()
    except RasterioIOError:
        return False
    return True


def main() -> None:
    """Write a picture, read parts of it, write one with overviews from it, and remove both."""
    pixels = numpy.random.default_rng(1).integers(0, 65535, (SIZE, SIZE), "u2")
    size = {"height": SIZE, "width": SIZE, "count": 1, "dtype": "uint16"}
    size |= {"crs": "EPSG:4326", "transform": from_origin(7, 51, 0.001, 0.001)}
    os.environ |= settings()
    with rasterio.Env():
        first, second = f"{PLACE}/deep ä/plain.tif", f"{PLACE}/deep ä/cloud.tif"
        with rasterio.open(first, "w", driver="GTiff", tiled=True, blockxsize=TILE, blockysize=TILE, **size) as file:
            file.write(pixels, 1)
        with rasterio.open(first) as file:
            assert (file.read(1) == pixels).all(), "other pixels came back"
            part = file.read(1, window=Window(1000, 2000, 300, 200))
            assert (part == pixels[2000:2200, 1000:1300]).all(), "other pixels of a window came back"
        copy(first, second, driver="COG", blocksize=TILE, overview_resampling="nearest")
        with rasterio.open(second) as file:
            small = file.read(1, out_shape=(SIZE // 4, SIZE // 4), resampling=Resampling.nearest)
            assert file.overviews(1), "it has no overviews"
            assert set(numpy.unique(small)) <= set(numpy.unique(pixels)), "other pixels of an overview came back"
            assert (file.read(1) == pixels).all(), "other pixels came back of the copy"
        assert not readable(f"{PLACE}/deep ä/none.tif"), "a picture that is missing was opened"
        for name in (first, second):
            delete(name)
            assert not readable(name), f"{name} is there still"
    print(f"2 pictures of {SIZE * SIZE:,} pixels")


if __name__ == "__main__":
    main()
