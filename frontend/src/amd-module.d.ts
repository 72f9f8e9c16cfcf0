declare module 'amd-module' {
  const amd: { uri?: string } | undefined;
  export default amd;
}
