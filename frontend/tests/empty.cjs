// Stands where the build would take a style sheet or an icon.
module.exports = () => null;
