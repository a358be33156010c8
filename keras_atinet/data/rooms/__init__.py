"""Synthetic rooms: boxes are furnished into a room, seen by a camera, coloured and lit."""
