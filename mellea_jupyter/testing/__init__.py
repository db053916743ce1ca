"""Public fakes that tests of this project and of its extensions share."""
