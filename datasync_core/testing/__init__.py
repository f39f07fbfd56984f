"""What is shipped for the tests of plugin and transport authors."""
